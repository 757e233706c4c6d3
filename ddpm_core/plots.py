"""Pictures: grids, strips, the sweep plot. Each function returns a matplotlib figure or writes one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ddpm_core.data import to_uint8
from ddpm_core.metrics.results import labelled
from ddpm_core.metrics.scores import Scores

LABELS = {"adherence": "label adherence", "distance": "Fréchet distance", "diversity": "diversity (real = 1)"}


def pixels(image: Tensor) -> np.ndarray:
    """(C, H, W) in [-1, 1] -> (H, W, 3) uint8."""
    x = to_uint8(image.detach().cpu()).expand(3, -1, -1) if len(image) == 1 else to_uint8(image.detach().cpu())
    return x.permute(1, 2, 0).numpy()


def grid(
    images: Tensor,
    columns: int,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    title: str = "",
    row_label: str = "",
    column_label: str = "",
    cell: float = 0.55,
) -> Figure:
    """Images (N, C, H, W), row by row, with names at the rows and columns."""
    cell = max([cell, *(0.08 * len(str(n)) for n in column_names)])  # neighbours' names do not touch
    rows, (height, width) = -(-len(images) // columns), images.shape[-2:]
    gap = max(1, height // 8)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        canvas[top : top + height, left : left + width] = pixels(image)
    longest = max([len(str(n)) for n in row_names], default=0)
    left = 0.55 + 0.08 * longest + (0.4 if row_label else 0.0)
    fig = Figure(figsize=(columns * cell + left, rows * cell + 0.75), layout="constrained", dpi=140)
    ax = fig.subplots()
    ax.imshow(canvas, interpolation="nearest")
    names = ((ax.set_yticks, row_names, rows, height + gap), (ax.set_xticks, column_names, columns, width + gap))
    for setter, labels, count, step in names:
        setter([gap + step * i + (step - gap) / 2 - 0.5 for i in range(count)][: len(labels)], labels)
    ax.tick_params(length=0, labelsize=8)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(column_label, fontsize=9)
    ax.set_ylabel(row_label, fontsize=9)
    ax.set_title(title, fontsize=10)
    return fig


def class_grid(images: Tensor, classes: Sequence[str], title: str = "") -> Figure:
    """One row a class: images (K·n, C, H, W), class by class."""
    return grid(images, len(images) // len(classes), classes, title=title, row_label="class asked for")


def sweep_plot(scales: Sequence[float], scores: Sequence[Scores], title: str = "") -> Figure:
    """Adherence, Fréchet distance and diversity against the guidance scale, with 95 % intervals."""
    fig = Figure(figsize=(10, 3.1), layout="constrained", dpi=140)
    for ax, name in zip(fig.subplots(1, 3), LABELS):
        e = [getattr(s, name) for s in scores]
        values = [x.value for x in e]
        bars = [[x.value - x.low for x in e], [x.high - x.value for x in e]]
        ax.errorbar(scales, values, yerr=bars, marker="o", capsize=3, color="tab:blue")
        ax.set_xticks(list(scales))
        ax.set_xlabel("guidance scale w")
        ax.set_ylabel(LABELS[name])
        ax.grid(alpha=0.3)
    about = scores[0].about
    made = f"{about.steps} steps, seed {about.seed}, {about.weights} weights\nreference {labelled(about.reference)}"
    fig.suptitle(title or f"{about.extractor}, n = {about.n}, {made}", fontsize=10)
    return fig


def save(fig: Figure, path: Path) -> Path:
    """Write a figure in the format of the path's ending, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path)
    return path


def gif(frames: Tensor, path: Path, zoom: int = 16, ms: int = 90) -> Path:
    """Frames (N, C, H, W) as a GIF that runs forth and back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there_and_back = torch.cat([frames, frames.flip(0)[1:-1]])
    big = [Image.fromarray(pixels(f)).resize([s * zoom for s in f.shape[:0:-1]], Image.NEAREST) for f in there_and_back]
    big[0].save(path, save_all=True, append_images=big[1:], duration=ms, loop=0)
    return path
