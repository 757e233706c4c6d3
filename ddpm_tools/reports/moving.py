"""Animations: tiles with names, drawn pixel by pixel, written as a looping WebP.

A GIF's 256 colours are too few for photographs, and matplotlib is too slow for many frames.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ddpm_core.plots import pixels
from ddpm_core.samplers import Trajectory

INK, PAPER = "#1b1f24", "#ffffff"
GAP, LINE = 4, 20  # pixels between tiles, and per line of text
MS, HELD = 110, 1800  # how long each frame is shown, and the last one
Frame = tuple[Image.Image, int]  # the image, and for how many milliseconds it is shown


def tiles(images: Tensor, columns: int, names: Sequence[str] = (), title: str = "", side: int = 96) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1], row by row, each enlarged by a whole number to at most `side` pixels.

    Names are below their images; rows without names leave no room for them.
    """
    zoom = max(1, side // images.shape[-1])
    height, width = (s * zoom for s in images.shape[-2:])
    rows = [range(i, min(i + columns, len(images))) for i in range(0, len(images), columns)]
    below = [LINE if any(i < len(names) and names[i] for i in row) else 0 for row in rows]
    top = LINE + GAP if title else GAP
    whole = GAP + columns * (width + GAP), top + len(rows) * (height + GAP) + sum(below)
    canvas = Image.new("RGB", whole, PAPER)
    draw = ImageDraw.Draw(canvas)
    if title:
        draw.text((GAP, GAP), title, INK, ImageFont.load_default(15))
    for row, room in zip(rows, below):
        for i in row:
            left = GAP + (i - row[0]) * (width + GAP)
            tile = Image.fromarray(pixels(images[i])).resize((width, height), Image.NEAREST)
            canvas.paste(tile, (left, top))
            if room and names[i]:
                place = (left + width / 2, top + height + 2)
                draw.text(place, names[i], INK, ImageFont.load_default(13), anchor="ma")
        top += height + room + GAP
    return canvas


def denoising(way: Trajectory, classes: Sequence[str], w: float) -> list[Frame]:
    """One frame per step, one column per class: above, the sampler's image; below, the network's guess of x0."""
    names, shown = [*[""] * len(classes), *classes], []
    steps = [*zip(way.t, way.xt, way.x0_hat), (0, way.final, way.final)]
    for t, xt, x0_hat in steps:  # (K, C, H, W) each
        picture = tiles(torch.cat([xt, x0_hat]), len(classes), names, f"w = {w:g}, t = {t}")
        shown.append((picture, MS if t else HELD))
    return shown


def write(shown: Sequence[Frame], path: Path, quality: int = 55) -> Path:
    """Write the frames as a looping WebP."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (picture for picture, _ in shown)
    options = {"duration": [ms for _, ms in shown], "loop": 0, "quality": quality, "method": 4}
    first.save(path, save_all=True, append_images=rest, **options)
    return path
