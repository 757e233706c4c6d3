"""Draws a hundred samples as a small picture, with one row per class if there are classes."""

from pathlib import Path

import numpy as np
from PIL import Image

from autograder.challenges.tracks import Track

SIDE, ZOOM = 10, 3


def of_samples(track: Track, images: np.ndarray, file: Path) -> Path:
    """Write the first hundred of images (N, 1, H, W) uint8 as a PNG of 10 × 10, and return its path."""
    side = min(SIDE, int(len(images) ** 0.5))
    images = images[: side * side, 0]
    if track.labels and side == SIDE:  # sample i was asked for class i mod 10
        images = images.reshape(SIDE, SIDE, *images.shape[1:]).swapaxes(0, 1).reshape(images.shape)
    tiles = np.pad(images, ((0, 0), (1, 1), (1, 1)))  # (side², H + 2, W + 2)
    _, h, w = tiles.shape
    canvas = tiles.reshape(side, side, h, w).swapaxes(1, 2).reshape(side * h, side * w)
    file.parent.mkdir(parents=True, exist_ok=True)
    size = (side * w * ZOOM, side * h * ZOOM)
    Image.fromarray(canvas).resize(size, Image.Resampling.NEAREST).save(file)
    return file
