"""Our solution to lesson 5.3's guided exercise, step by step. The lesson folds each step away below the student's own.

Every step returns a figure, a sentence and its values. `measure(network, w, n)` is the lesson's: (scores, images, y).
"""

from __future__ import annotations

import base64
import html
import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from IPython.display import HTML, display
from matplotlib.figure import Figure
from torch import Tensor, nn

from ddpm_core import plots
from ddpm_core.diffusion import Diffusion
from ddpm_core.interpolation import interpolate
from ddpm_core.metrics.adherence import classify
from ddpm_core.samplers import initial_noise, sample
from ddpm_tools.reports.plots import sweep_plot


class Step(NamedTuple):
    """What a step finds, with its values by name."""

    figure: Figure
    said: str
    values: dict[str, Any]


def unfold(step: Callable[..., Step], *args: Any, **options: Any) -> dict[str, Any]:
    """Run a step and show its code, figure and sentence folded away; returns its values."""
    done, picture = step(*args, **options), io.BytesIO()
    done.figure.savefig(picture, format="png", bbox_inches="tight")
    title = f"Our solution: <code>{step.__name__}</code> (open it when yours is done)"
    code = f"<pre><code>{html.escape(inspect.getsource(step))}</code></pre>"
    image = f'<img alt="{step.__name__}" src="data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}">'
    said = f"<pre>{html.escape(done.said)}</pre>" if done.said else ""
    display(HTML(f"<details><summary>{title}</summary>{code}{image}{said}</details>"))
    return done.values


def class_grid(diffusion: Diffusion, classes: Sequence[str], judge: nn.Module | None, w: float, steps: int) -> Step:
    """Ten images of each class, and how the classifier labels them."""
    asked = torch.arange(len(classes)).repeat_interleave(10)  # (10·K,), sorted by class
    images = sample(diffusion, asked, w, steps, seed=4)  # (10·K, C, H, W)
    figure = plots.class_grid(images, classes, f"Ten of each class, w = {w:g}, {steps} DDIM steps, seed 4, EMA weights")
    if judge is None:
        return Step(figure, "", {})
    taken = classify(judge, images)[0]  # (10·K,)
    wrong = (taken != asked).nonzero()[:, 0].tolist()
    list_ = [f"row {classes[asked[i]]}, column {i % 10 + 1}, as {classes[taken[i]]}" for i in wrong]
    said = f"The classifier disagrees with {len(wrong)} of {len(asked)}: " + ("; ".join(list_) or "none")
    return Step(figure, said, {"wrong": len(wrong)})


def one_noise(diffusion: Diffusion, classes: Sequence[str], scales: Sequence[float], steps: int) -> Step:
    """Every class from a single noise. At w = 0 this is the same picture ten times."""
    y = torch.arange(len(classes), device=diffusion.device)  # (K,)
    noise = initial_noise([0], diffusion.shape, seed=5).expand(len(y), -1, -1, -1).to(y.device)  # (K, C, H, W)
    rows = [interpolate(diffusion, y, noise, float(w), steps).cpu() for w in scales]
    names, title = [f"w = {w:g}" for w in scales], "One noise, every class, growing guidance"
    figure = plots.grid(torch.cat(rows), len(y), names, classes, title, column_label="class asked for")
    apart = [(r - r[:1]).abs().max().item() for r in rows]
    said = "Largest difference between two pictures in a row: " + ", ".join(f"{a:.3f}" for a in apart)
    return Step(figure, said, {"apart": apart})


def sweep(network: nn.Module, measure: Callable, judge: nn.Module, scales: Sequence[float], n: int) -> Step:
    """Adherence, distance and diversity against w; also keeps the class that the classifier assigns to each image."""
    scores, taken = [], []
    for w in scales:
        s, images, asked = measure(network, float(w), n)
        scores.append(s)
        taken.append(classify(judge, images)[0])  # (n,)
    about = scores[0].about
    title = f"{about.extractor}, n = {about.n}, {about.steps} DDIM steps, seed {about.seed}, EMA weights"
    names = ("adherence", "distance", "diversity")
    values = {str(w): {m: getattr(s, m).value for m in names} for w, s in zip(scales, scores)}
    said = "\n".join(f"w = {w:g}: " + ", ".join(f"{m} {getattr(s, m)}" for m in names) for w, s in zip(scales, scores))
    return Step(sweep_plot(scales, scores, title), said, {"scores": values, "taken": taken, "asked": asked})


def by_class(asked: Tensor, taken: Sequence[Tensor], scales: Sequence[float], classes: Sequence[str]) -> Step:
    """Adherence of each class at each w, and the paired gain from w = 1 to w = 4 with its 95 % interval."""
    hits = torch.stack([(t == asked).float() for t in taken])  # (scales, n)
    of = [asked == k for k in range(len(classes))]
    table = torch.stack([hits[:, mine].mean(1) for mine in of])  # (K, scales)
    gain = hits[list(scales).index(4)] - hits[list(scales).index(1)]  # (n,): each -1, 0 or 1
    gains = torch.stack([gain[mine].mean() for mine in of])  # (K,)
    errors = torch.stack([1.96 * gain[mine].std() / mine.sum() ** 0.5 for mine in of])
    figure = Figure(figsize=(11, 4), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    drawn = left.imshow(table, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for k, line in enumerate(table.tolist()):
        for j, v in enumerate(line):
            left.text(j, k, f"{v:.2f}", ha="center", va="center", fontsize=8, color="black" if v > 0.6 else "white")
    left.set_xticks(range(len(scales)), [f"{w:g}" for w in scales])
    left.set_yticks(range(len(classes)), classes)
    left.set(xlabel="guidance scale w", ylabel="class asked for", title=f"{int(of[0].sum())} images of each class")
    figure.colorbar(drawn, ax=left, label="label adherence (share of images)")
    order = gains.argsort(descending=True)
    right.bar(range(len(order)), gains[order], yerr=errors[order], capsize=3, color="0.7", edgecolor="black")
    right.set_xticks(range(len(order)), [classes[k] for k in order])
    right.axhline(0, color="black", lw=0.8)
    right.set(xlabel="class asked for", ylabel="gain in adherence", title="From w = 1 to w = 4 (paired, 95 %)")
    told = [f"{classes[k]}: {gains[k]:+.2f} ± {errors[k]:.2f}" for k in order]
    values = {"table": table.tolist(), "gain": dict(zip(classes, gains.tolist())), "error": errors.tolist()}
    return Step(figure, "Gain from w = 1 to w = 4, largest first: " + ", ".join(told), values)


def walks(rows: Mapping[str, Tensor], w: float) -> Step:
    """Strips (N, C, H, W) by name, one below another."""
    n = len(next(iter(rows.values())))
    alphas = [f"{i / (n - 1):.1f}" for i in range(n)]
    title = f"What varies: the class, along three paths, or the noise (w = {w:g})"
    figure = plots.grid(torch.cat(list(rows.values())), n, list(rows), alphas, title, column_label="alpha")
    first = next(iter(rows.values()))
    said = "\n".join(
        f"{name}: differs from the first row by {(r - first).abs().mean():.3f}" for name, r in rows.items()
    )
    return Step(figure, said, {})


def ema_against_raw(
    versions: Mapping[str, Diffusion], measure: Callable | None, classes: Sequence[str], steps: int, n: int
) -> Step:
    """The same noises with averaged and raw weights. Versions come in pairs, raw before averaged."""
    y = torch.arange(2 * len(classes)) % len(classes)
    rows = [sample(d, y, 1.0, steps, seed=6) for d in versions.values()]
    title = "Averaged against raw weights: same noise in a column, w = 1"
    names = [classes[k] for k in y]
    figure = plots.grid(torch.cat(rows), len(y), list(versions), names, title, column_label="class asked for")
    apart = [(a - b).abs().mean().item() for a, b in zip(rows[::2], rows[1::2])]
    said, scores = [f"mean difference per pixel, pair by pair: {', '.join(f'{a:.3f}' for a in apart)}"], {}
    for name, d in versions.items() if measure else ():
        s = measure(d.network, 1.0, n, weights=name.split()[-1].lower())[0]
        scores[name] = {"adherence": s.adherence.value, "distance": s.distance.value}
        said.append(f"{name}: adherence {s.adherence}, Fréchet distance {s.distance} (n = {n})")
    return Step(figure, "\n".join(said), {"apart": apart, "scores": scores})
