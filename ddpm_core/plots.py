"""Grids of images, as matplotlib figures."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TypedDict, Unpack

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_core.data import to_uint8


def pixels(image: Tensor) -> np.ndarray:
    """(C, H, W) in [-1, 1] -> (H, W, 3) uint8."""
    x = to_uint8(image.detach().cpu()).expand(3, -1, -1) if len(image) == 1 else to_uint8(image.detach().cpu())
    return x.permute(1, 2, 0).numpy()


class AxisLabels(TypedDict, total=False):
    """What the rows and columns of a grid show."""

    row_label: str
    column_label: str


def grid(
    images: Tensor,
    columns: int,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    title: str = "",
    *,
    cell: float = 0.55,
    **axes: Unpack[AxisLabels],
) -> Figure:
    """Images (N, C, H, W), row by row, with row and column names and axis labels."""
    row_label, column_label = axes.pop("row_label", ""), axes.pop("column_label", "")
    if axes:
        raise TypeError(f"a grid has row_label and column_label, and no {', '.join(axes)}")
    cell = max([cell, *(0.08 * len(str(n)) for n in column_names)])  # so that neighbouring names do not touch
    rows, (height, width) = -(-len(images) // columns), images.shape[-2:]
    gap = max(1, height // 8)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        canvas[top : top + height, left : left + width] = pixels(image)
    longest = max([len(str(n)) for n in row_names], default=0)
    left = 0.55 + 0.08 * longest + (0.4 if row_label else 0.0)
    width_in = columns * cell + left
    lines = wrap(title, max(24, int(12 * width_in)))  # no line is longer than the figure is wide
    fig = Figure(figsize=(width_in, rows * cell + 0.6 + 0.15 * max(1, len(lines))), layout="constrained", dpi=140)
    ax = fig.subplots()
    ax.imshow(canvas, interpolation="nearest")
    names = ((ax.set_yticks, row_names, rows, height + gap), (ax.set_xticks, column_names, columns, width + gap))
    for setter, labels, count, step in names:
        setter([gap + step * i + (step - gap) / 2 - 0.5 for i in range(count)][: len(labels)], labels)
    ax.tick_params(length=0, labelsize=8)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(column_label, fontsize=9)
    ax.set_ylabel(row_label, fontsize=9)
    ax.set_title("\n".join(lines), fontsize=10)
    return fig


def class_grid(images: Tensor, classes: Sequence[str], title: str = "") -> Figure:
    """One row per class: images (K·n, C, H, W), class by class."""
    return grid(images, len(images) // len(classes), classes, title=title, row_label="class asked for")


def save(fig: Figure, path: Path) -> Path:
    """Write a figure, cropped to its content, in the format of the path's suffix; makes the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, bbox_inches="tight", pad_inches=0.05)
    return path
