"""Draws the picture of a gated run: where it fell among limits, references and controls, and its samples by class."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image
from torch import Tensor

from autograder.gate.bands import Band, turned
from ddpm_core import plots
from ddpm_core.data import digits
from ddpm_core.metrics.adherence import classify
from ddpm_tools.evaluation.plain_classifier import Classifier

LABELS = {
    "error": "share of samples with another label",
    "distance": "Fréchet distance",
    "heldout_loss": "held-out denoising loss",
    "copies": "share of near-copies",
}
COLOURS = {"reference": "tab:blue", "control": "tab:gray"}
ZONES = (("full", "#dff0d8"), ("half", "#fcf3cf"), ("no", "#f5d5d5"))
GRID = 10  # samples per row and per column
HEIGHTS = (3.1, 4)  # of the limits, above, and the samples, below


def limits_panel(ax: Axes, metric: str, band: Band, runs: Sequence[dict], judge: str, own: float, names: bool) -> None:
    """Draw one metric: each calibration run as a dot, the limits as zones, this run as a star. Less is better."""
    designs = list(dict.fromkeys((r["design"], r["role"]) for r in runs))
    values = {d: [turned(r["metrics"][judge])[metric] for r in runs if r["design"] == d] for d, _ in designs}
    everything = [own, band.half, *(v for vs in values.values() for v in vs)]
    shares = metric in ("error", "copies")
    low, high = (0.0, 1.02) if shares else (min(everything) / 1.15, max(everything) * 1.15)
    if not shares:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    for (name, colour), start, end in zip(ZONES, (low, band.full, band.half), (band.full, band.half, high)):
        ax.axvspan(start, max(start, end), color=colour, zorder=0, label=f"{name} credit" if names else None)
    for row, (design, role) in enumerate(designs):
        ax.scatter(values[design], [row] * len(values[design]), s=14, alpha=0.7, color=COLOURS[role])
    ax.scatter([min(max(own, low), high)], [len(designs)], s=130, marker="*", color="black", zorder=3)
    ax.set_xlim(low, high)
    ax.set_ylim(len(designs) + 0.6, -0.6)
    labels = [f"{d.replace('_', ' ')} ({role})" for d, role in designs] + ["your run"]
    ax.set_yticks(range(len(labels)), labels if names else [""] * len(labels), fontsize=8)
    ax.tick_params(axis="x", labelsize=7, which="both")
    ax.set_xlabel(LABELS[metric], fontsize=9)


def samples_panel(ax: Axes, images: Tensor, classes: Sequence[str] | None) -> None:
    """Draw a grid of samples, with one row per class if there are classes."""
    if classes:  # sample i was asked for class i mod K
        images = images[: GRID * len(classes)].view(GRID, len(classes), *images.shape[1:]).transpose(0, 1).flatten(0, 1)
    shown = images[: GRID * GRID].clamp(-1, 1)
    tiles = torch.nn.functional.pad(shown, (1, 0, 1, 0), value=1.0)  # (N, C, H + 1, W + 1), a white line between
    height, width = tiles.shape[-2:]
    rows = len(tiles) // GRID
    canvas = tiles[:, 0].view(rows, GRID, height, width).permute(0, 2, 1, 3).reshape(rows * height, GRID * width)
    ax.imshow(canvas.numpy(), cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    centres = [height * i + height / 2 for i in range(rows)]
    ax.set_yticks(centres if classes else [], list(classes)[:rows] if classes else [], fontsize=8)
    ax.tick_params(length=0)
    ax.set_title("what your trained answer drew", fontsize=10)
    ax.set_ylabel("class asked for" if classes else "", fontsize=9)


def classes_panel(ax: Axes, images: Tensor, classifier: Classifier, classes: Sequence[str]) -> None:
    """Draw the adherence of each class as bars."""
    asked = torch.arange(len(images)) % len(classes)
    right = classify(classifier, images)[0] == asked
    shares = [float(right[asked == k].double().mean()) for k in range(len(classes))]
    ax.bar(np.arange(len(classes)), shares, color="tab:blue")
    ax.set_xticks(np.arange(len(classes)), classes, fontsize=8)
    ax.set_ylim(0, 1)
    ax.set_xlabel("class asked for", fontsize=9)
    ax.set_ylabel("label adherence", fontsize=9)
    ax.set_title("is it the digit that was asked for?", fontsize=10)


def figure(
    record: dict, judge: str, metrics: dict[str, float], images: Tensor, classifier: Classifier, ended: str = ""
) -> Figure:
    """Draw the whole picture. `record` is the band file; classes are shown if its limits include "error".

    `ended` says when the run ended (sequential.at). The dots show calibration runs at the end of theirs.
    """
    bands = {k: Band(**v) for k, v in record["limits"][judge].items()}
    own = turned({"adherence": 0.0, **metrics})
    fig = Figure(figsize=(3.0 * len(bands) + 1.2, 7.2), layout="constrained", dpi=120)
    top, bottom = fig.subfigures(2, 1, height_ratios=HEIGHTS)
    axes = top.subplots(1, len(bands), squeeze=False)[0]
    for i, (ax, (metric, band)) in enumerate(zip(axes, bands.items())):
        limits_panel(ax, metric, band, record["runs"], judge, own[metric], names=i == 0)
    top.legend(loc="outside upper right", ncols=3, fontsize=8, frameon=False)
    top.suptitle(
        f"where your run fell{f' {ended}' * bool(ended)} (to the left is better)", fontsize=10, x=0.02, ha="left"
    )
    classes = digits().classes if "error" in bands else None
    panels = bottom.subplots(1, 2 if classes else 1, squeeze=False)[0]
    samples_panel(panels[0], images, classes)
    if classes:
        classes_panel(panels[1], images, classifier, classes)
    return fig


def save(
    file: Path, band_file: Path, judge: str, metrics: dict[str, Any], images: Tensor, c: Classifier, ended: str = ""
) -> Path:
    """Write the picture to `file` and return its path."""
    record = json.loads(band_file.read_text(encoding="utf-8"))
    return plots.save(figure(record, judge, metrics, images, c, ended), file)


def samples_of(file: Path, labelled: bool, side: int = 8) -> Image.Image:
    """Cut the grid of samples out of a picture that `save` wrote, at its original size; OSError if there is none.

    Each sample has `side` × `side` pixels, with a white line one pixel wide between samples. The grid fills the lower
    part of the picture, or its left half if the samples have labels, and is by far the darkest area there.
    """
    with Image.open(file) as picture:
        width, height = picture.size
        top = round(height * HEIGHTS[0] / sum(HEIGHTS))
        part = picture.convert("L").crop((0, top, width // 2 if labelled else width, height))
    dark = np.asarray(part) < 128
    ys, xs = (np.flatnonzero((m := dark.mean(axis)) > 0.3 * m.max()) for axis in (1, 0))
    if not len(ys) or not len(xs):
        raise OSError(f"{file} is not a picture of a gate")
    part = part.crop((int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1))
    rows, step = round(GRID * part.height / part.width), side + 1
    return part.resize((GRID * step, rows * step), Image.NEAREST).crop((1, 1, GRID * step, rows * step))
