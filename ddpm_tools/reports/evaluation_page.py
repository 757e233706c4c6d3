"""One self-contained page per evaluation: samples, results, classes, confusions, nearest training images."""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from ddpm_core import plots
from ddpm_core.data import ImageData, to_float
from ddpm_tools.evaluation.estimates import Estimate
from ddpm_tools.evaluation.evaluation import Evaluation
from ddpm_tools.evaluation.finite_n import Extrapolation
from ddpm_tools.evaluation.metrics import METRICS
from ddpm_tools.evaluation.record import covered
from ddpm_tools.evaluation.results import MetricResult
from ddpm_tools.outputs import json_text
from ddpm_tools.reports import html

TEMPLATE = html.TEMPLATES / "evaluation.html"
ROWS, COLUMNS = 20, 10  # of the sample grid
PAIRS = 12  # nearest neighbours shown
MOST_CLASSES = 30  # in a confusion matrix that is still readable


def cells(e: Estimate | None) -> list[str]:
    """Value and interval."""

    def number(x: float) -> str:
        return f"{x:.4g}" if abs(x) >= 1e-3 or x == 0 else f"{x:.2e}"

    if e is None or e.lacks == "no value":
        return ["–", ""]
    return [number(e.value), e.lacks or f"{number(e.low)} … {number(e.high)}"]


def rows_by_extractor(results: list[MetricResult]) -> dict[str, list[list[str]]]:
    """Rows of one table per extractor: distances from different networks never share a column."""
    tables: dict[str, list[list[str]]] = {r.about.extractor: [] for r in results}
    for r in results:
        tables[r.about.extractor].append([METRICS[r.metric].title, *cells(r.estimate), METRICS[r.metric].better])
    return tables


def sample_grid(e: Evaluation, classes: tuple[str, ...]) -> Figure:
    """Ten images of each class, or a hundred if there are no classes."""
    if e.labels is None:
        return plots.grid(to_float(e.seen.images[: COLUMNS**2]), COLUMNS, title="")
    rows, names = [], []
    for k, name in enumerate(classes[:ROWS]):
        mine = e.seen.images[e.labels == k][:COLUMNS]
        if len(mine):
            blank = torch.full((COLUMNS - len(mine), *mine.shape[1:]), 255, dtype=torch.uint8)
            rows.append(torch.cat([mine, blank]))
            names.append(name)
    return plots.grid(to_float(torch.cat(rows)), COLUMNS, names, row_label="class asked for")


def neighbour_pairs(e: Evaluation, data: ImageData) -> Figure:
    """The generated images nearest to a training image, each above that image."""
    nearest = e.neighbours.distance.argsort()[:PAIRS]
    both = torch.cat([e.seen.images[nearest], data.images[e.neighbours.index[nearest]]])
    distances = [f"{d:.3f}" for d in e.neighbours.distance[nearest]]
    return plots.grid(to_float(both), len(nearest), ["generated", "training"], distances)


def by_n_plot(e: Extrapolation) -> Figure:
    """Distances of subsets against 1/n, and the line extrapolated to infinitely many images."""
    plot = Figure(figsize=(5, 3), layout="constrained", dpi=140)
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


def write(
    out: Path, results: list[MetricResult], e: Evaluation, data: ImageData, limit: float, made_with: dict, title: str
) -> Path:
    """Write the page out/index.html; `results` are over all seeds, everything else is from the first."""
    counts = e.confusion.tolist() if e.confusion is not None and len(data.classes) <= MOST_CLASSES else []
    return html.write(
        out / "index.html", TEMPLATE,
        title=title, samples=html.figure_uri(sample_grid(e, data.classes)), labelled=e.labels is not None,
        left_out=max(0, len(data.classes) - ROWS), tables=rows_by_extractor(results),
        about=f"{results[0].about}. {covered(results)}" if results else "",
        by_n=e.by_n and html.figure_uri(by_n_plot(e.by_n)),
        per_class=[[r.name, r.n, *cells(r.distance), *cells(r.adherence)] for r in e.per_class],
        classes=data.classes, confusion=[(name, row, max(1, sum(row))) for name, row in zip(data.classes, counts)],
        neighbours=e.neighbours and html.figure_uri(neighbour_pairs(e, data)), limit=limit, notes=e.notes,
        made_with=json_text(made_with, indent=1, ensure_ascii=False),
    )  # fmt: skip
