"""The evidence as one figure: curves and bars above, images below."""

import textwrap

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_core.diffusion import Network
from ddpm_core.plots import pixels
from ddpm_tools.diagnosis.denoising import noised
from ddpm_tools.diagnosis.evidence import Evidence
from ddpm_tools.diagnosis.training_rules import LEARNT
from ddpm_tools.diagnosis.verdict import Verdict

COLUMNS = 10  # images in a row


def error_curves(ax: Axes, e: Evidence) -> None:
    curves = (
        (e.error, "own label", "tab:blue", "o-"), (e.null_error, "no label", "tab:cyan", "o--"),
        (e.raw_error, "raw weights", "tab:orange", "x:"), (e.reference, "reference", "black", "s-"),
        (e.bound, "bound: each pixel alone", "tab:red", "--"),
    )  # fmt: skip
    for values, name, color, style in (c for c in curves if c[0] is not None):
        ax.plot(e.times, values.clamp(1e-4, 10), style, color=color, label=name, markersize=4)
    ax.axhline(1, color="tab:red", lw=0.8, ls=":", label="bound: the mean image")
    ax.set(yscale="log", xlabel="timestep t", ylabel="share of variance not explained")
    ax.set_title("one-step error of x0_hat", fontsize=9)
    ax.legend(fontsize=6)


def convention_bars(ax: Axes, e: Evidence) -> None:
    names = [f"{h.aspect} {h.value}".strip() for _, h in e.fits]
    values = [min(v, 5) for v, _ in e.fits]
    best = values.index(min(values))
    colors = ["tab:blue" if i == 0 else "tab:red" if i == best else "tab:gray" for i in range(len(values))]
    ax.barh(names, values, color=colors)
    ax.axvline(LEARNT, color="black", lw=0.8, ls=":")
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel(f"score (error / pixel bound; learnt below {LEARNT}; cut at 5)", fontsize=8)
    ax.set_title("how was it trained? the lowest score fits best", fontsize=9)


def label_matrix(ax: Axes, e: Evidence) -> None:
    if e.seen is None:
        ax.set_axis_off()
        return
    share = e.seen.counts / e.seen.counts.sum(1, keepdim=True).clamp(min=1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(e.classes))
    short = [c[:6] for c in e.classes]
    ax.set_xticks(ticks, short, fontsize=7, rotation=0 if max(map(len, short)) < 3 else 90)
    ax.set_yticks(ticks, short, fontsize=7)
    ax.set(xlabel="label that denoises it best", ylabel="class of the image")
    ax.set_title("does it use its labels?", fontsize=9)


def rows_of(ax: Axes, rows: list[Tensor], names: list[str], columns: list[str], title: str, below: str) -> None:
    """Images (n, C, H, W), one list entry per row, as one picture with labels on the left and below."""
    gap = max(1, rows[0].shape[-1] // 8)
    height, width = rows[0].shape[-2] + gap, rows[0].shape[-1] + gap
    canvas = np.full((len(rows) * height, len(columns) * width, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row[: len(columns)]):
            canvas[i * height : (i + 1) * height - gap, j * width : (j + 1) * width - gap] = pixels(image.nan_to_num(0))
    ax.imshow(canvas, interpolation="nearest", aspect="equal")
    ax.set_yticks([(i + 0.5) * height - gap / 2 - 0.5 for i in range(len(rows))], names, fontsize=7)
    ax.set_xticks([(j + 0.5) * width - gap / 2 - 0.5 for j in range(len(columns))], columns, fontsize=7)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(below, fontsize=8)
    ax.set_title(title, fontsize=9)


@torch.no_grad()
def reconstructions(ax: Axes, e: Evidence, network: Network) -> None:
    pick = torch.linspace(0, len(e.x0) - 1, COLUMNS).long()
    x0, y = e.x0[pick], e.y[pick]
    rows, names = [x0], ["real x0"]
    for t in e.times:
        xt, ts, _ = noised(e.how, x0, t)
        rows.append(e.how.predict(network, xt, ts, y))
        names.append(f"x0_hat, t = {t}")
    rows_of(ax, rows, names, [e.classes[k] for k in y.tolist()], "one step from xt to x0_hat", "class of the image")


def sampled(ax: Axes, e: Evidence) -> None:
    s = e.sampler
    if s is None:
        ax.text(0.5, 0.5, "no sampler was given", ha="center", va="center")
        ax.set_axis_off()
        return
    pick = torch.linspace(0, len(e.y) - 1, COLUMNS).long()
    second = (pick + 1).clamp(max=len(e.y) - 1)
    rows = [s.reference[pick], s.images[pick], s.reference[second], s.images[second]]
    names = ["reference", "your sampler"] * 2
    columns = [e.classes[k] for k in e.y[pick].tolist()]
    rows_of(ax, rows, names, columns, "same weights, same first noise, w = 1", "requested class")


def draw(e: Evidence, verdict: Verdict, network: Network) -> Figure:
    """The whole figure, titled with the verdict."""
    fig = Figure(figsize=(11, 8), layout="constrained", dpi=120)
    top, bottom = fig.subfigures(2, 1, height_ratios=(1, 1.15))
    curves, bars, labels = top.subplots(1, 3, width_ratios=(1.15, 1, 1))
    error_curves(curves, e)
    convention_bars(bars, e)
    label_matrix(labels, e)
    left, right = bottom.subplots(1, 2)
    reconstructions(left, e, network)
    sampled(right, e)
    fig.suptitle("\n".join(textwrap.wrap(verdict.sentence, 120)), fontsize=10)
    return fig
