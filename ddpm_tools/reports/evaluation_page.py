"""One page for one evaluation, in one file: samples, results, classes, confusions, nearest training images."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path

import torch
from matplotlib.figure import Figure as Plot
from torch import Tensor

from ddpm_core import plots
from ddpm_core.data import ImageData, to_float
from ddpm_tools.evaluation.estimates import Estimate
from ddpm_tools.evaluation.evaluation import METRICS, Evaluation
from ddpm_tools.evaluation.finite_n import Extrapolation
from ddpm_tools.evaluation.record import covered
from ddpm_tools.evaluation.results import MetricResult
from ddpm_tools.reports import page

ROWS, COLUMNS = 20, 10  # of the sample grid
PAIRS = 12  # nearest neighbours shown


def embedded(plot: Plot, caption: str) -> str:
    """A picture that lies in the page itself."""
    file = io.BytesIO()
    plot.savefig(file, format="png")
    return page.figure(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}", caption)


def number(x: float) -> str:
    return f"{x:.4g}" if abs(x) >= 1e-3 or x == 0 else f"{x:.2e}"


def cells(e: Estimate | None) -> list[str]:
    """Value and interval."""
    return ["–", ""] if e is None else [number(e.value), f"{number(e.low)} … {number(e.high)}"]


def result_tables(results: list[MetricResult]) -> str:
    """One table for each extractor: distances from different networks never stand in one column."""
    parts = []
    for extractor in dict.fromkeys(r.about.extractor for r in results):
        mine = [r for r in results if r.about.extractor == extractor]
        rows = [[METRICS[r.metric].title, *cells(r.estimate), METRICS[r.metric].better] for r in mine]
        parts.append(f"<h3>Measured with {html.escape(extractor)}</h3>")
        parts.append(page.table(["metric", "value", "95 % interval", "better"], rows))
    return "".join(parts) + f"<p>{html.escape(f'{results[0].about}. {covered(results)}')}</p>" if results else ""


def sample_grid(e: Evaluation, classes: tuple[str, ...]) -> str:
    """Ten images a class, or a hundred where there are no classes."""
    if e.labels is None:
        grid = plots.grid(to_float(e.seen.images[: COLUMNS**2]), COLUMNS, title="")
        return embedded(grid, "The first of the images that were kept.")
    rows, names = [], []
    for k, name in enumerate(classes[:ROWS]):
        mine = e.seen.images[e.labels == k][:COLUMNS]
        if len(mine):
            blank = torch.full((COLUMNS - len(mine), *mine.shape[1:]), 255, dtype=torch.uint8)
            rows.append(torch.cat([mine, blank]))
            names.append(name)
    grid = plots.grid(to_float(torch.cat(rows)), COLUMNS, names, row_label="class asked for")
    more = f"; {len(classes) - ROWS} more classes are not shown" if len(classes) > ROWS else ""
    return embedded(grid, f"The first images of each class{more}.")


def class_table(e: Evaluation) -> str:
    header = ["class", "n", "Fréchet distance", "95 % interval", "adherence", "95 % interval"]
    rows = [[r.name, r.n, *cells(r.distance), *cells(r.adherence)] for r in e.per_class]
    note = "Distances of few images are too large by a bias; compare classes of equal n only."
    return page.table(header, rows) + f"<p>{note}</p>"


def confusion_table(counts: Tensor, classes: tuple[str, ...]) -> str:
    """Rows: the class asked for; columns: the class seen. Shaded by the row's share, none where nothing is."""
    head = "".join(f"<th>{html.escape(c)}</th>" for c in classes)
    body = []
    for name, row in zip(classes, counts.tolist()):
        total = max(1, sum(row))
        shaded = [f'<td style="background: rgb(31 119 180 / {min(0.75, c / total):.2f})">{c or ""}</td>' for c in row]
        body.append(f"<tr><th>{html.escape(name)}</th>{''.join(shaded)}</tr>")
    table = f"<table><thead><tr><th>asked for ↓ seen →</th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def neighbour_pairs(e: Evaluation, data: ImageData, limit: float) -> str:
    """The generated images that lie nearest to a training image, above that image."""
    nearest = e.neighbours.distance.argsort()[:PAIRS]
    both = torch.cat([e.seen.images[nearest], data.images[e.neighbours.index[nearest]]])
    distances = [f"{d:.3f}" for d in e.neighbours.distance[nearest]]
    grid = plots.grid(to_float(both), len(nearest), ["generated", "training"], distances)
    return embedded(
        grid,
        f"The images that lie nearest to a training image, with their distance (root mean square, pixels in [-1, 1]). "
        f"5 % of unseen real images lie nearer than {limit:.3f}; 0 is a copy.",
    )


def by_n_plot(e: Extrapolation) -> Plot:
    """Distances of subsets against 1/n, and the line that leads to infinitely many images."""
    plot = Plot(figsize=(5, 3), layout="constrained", dpi=140)
    ax = plot.subplots()
    ax.plot([1 / n for n in e.sizes], e.values, "o", color="tab:blue", label="random subsets")
    ends = [0, 1 / min(e.sizes)]
    ax.plot(ends, [e.limit + e.slope * x for x in ends], color="tab:gray", label=f"line: {e.limit:.3g} at 1/n = 0")
    ax.set_xticks([0, *(1 / n for n in e.sizes)], ["∞", *map(str, e.sizes)], fontsize=8)
    ax.set_xlabel("number of images n (axis: 1/n)")
    ax.set_ylabel("Fréchet distance")
    ax.legend()
    ax.grid(alpha=0.3)
    return plot


def sections(
    results: list[MetricResult], e: Evaluation, data: ImageData, limit: float, made_with: dict
) -> list[page.Section]:
    """`results` over all seeds, everything else of the first."""
    parts = [page.Section("Samples", sample_grid(e, data.classes)), page.Section("Results", result_tables(results))]
    if e.by_n is not None:
        text = "The same images, fewer of them: the distance grows, and nothing about the model has changed."
        parts.append(page.Section("How the distance depends on n", embedded(by_n_plot(e.by_n), text)))
    if e.per_class:
        parts.append(page.Section("Class by class", class_table(e)))
    if e.confusion is not None and len(data.classes) <= 30:
        parts.append(page.Section("Which class is seen", confusion_table(e.confusion, data.classes)))
    if e.neighbours is not None:
        parts.append(page.Section("Nearest training images", neighbour_pairs(e, data, limit)))
    if e.notes:
        items = "".join(f"<li>{html.escape(n)}</li>" for n in e.notes)
        parts.append(page.Section("What to know of these results", f"<ul>{items}</ul>"))
    text = html.escape(json.dumps(made_with, indent=1, ensure_ascii=False))
    parts.append(page.Section("Made with", f'<div class="scroll"><pre>{text}</pre></div>'))
    return parts


def write(
    out: Path, results: list[MetricResult], e: Evaluation, data: ImageData, limit: float, made_with: dict, title: str
) -> Path:
    """Write the page out/index.html."""
    return page.write(out, sections(results, e, data, limit, made_with), title)
