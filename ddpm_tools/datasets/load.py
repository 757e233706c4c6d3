"""From a folder or a zip of pictures to ImageData, and from ImageData to another size or number of channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ddpm_core.data import ImageData
from ddpm_tools.datasets.files import open_files
from ddpm_tools.datasets.layouts import index
from ddpm_tools.datasets.pictures import ImageSpec, pixels
from ddpm_tools.datasets.reading import cached_pictures
from ddpm_tools.datasets.splits import positions

EMOJI = Path(__file__).resolve().parents[2] / "data/captions/emoji.zip"  # ships; made by scripts/emoji_captions.py


def data_files(path: Path, split: str, spec: ImageSpec, cache: Path) -> ImageData:
    """A folder or zip in one of the layouts of `layouts`. ValueError says what is wrong, naming the files."""
    with open_files(path) as files:
        found = index(files)
        try:
            keep = positions(found, split)
        except ValueError as e:
            raise ValueError(f"{path}: {e}") from e
        pictures = cached_pictures(files, found.names, spec, cache)  # all of them, so that the splits share one copy
    images = torch.from_numpy(pictures if len(keep) == len(found.names) else pictures[keep])  # (N, C, H, W)
    captions = tuple(found.captions[i] for i in keep) if found.captions else ()
    labels = torch.tensor([found.labels[i] for i in keep])
    return ImageData(path.stem, split, images, labels, found.classes, captions)


def emoji(split: str, spec: ImageSpec) -> ImageData:
    """1,911 emoji of Noto in 32×32 RGB on white, ten categories, each with a caption ('tiger, animal mammal')."""
    return data_files(EMOJI, split, spec, Path())  # too few for a kept copy


def resized(data: ImageData, spec: ImageSpec) -> ImageData:
    """The same data as the spec has it: as for pictures from files."""
    c, h, w = data.images.shape[1:]
    if (spec.size or h, spec.size or w, spec.channels or c) == (h, w, c):
        return data

    def picture(image: np.ndarray) -> Image.Image:
        return Image.fromarray(image[0] if c == 1 else image.transpose(1, 2, 0))  # (H, W) or (H, W, 3)

    wanted = replace(spec, channels=spec.channels or c)
    images = np.stack([pixels(picture(image), wanted) for image in data.images.numpy()])  # (N, C, size, size)
    return replace(data, images=torch.from_numpy(images))
