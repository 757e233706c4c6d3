"""Images to be judged, in chunks: a tensor, or a folder of pictures that is read as it is needed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_tools.datasets.files import Files, open_files
from ddpm_tools.datasets.layouts import ONE_CLASS, index
from ddpm_tools.datasets.pictures import ImageSpec, decode

CHUNK = 500  # images: what is in memory at a time


@dataclass(frozen=True)
class Source:
    """n images with the classes asked for, where these are known; `chunks()` starts anew at each call."""

    name: str
    n: int
    labels: Tensor | None  # (N,)
    chunks: Callable[[], Iterator[Tensor]]  # of (B, C, H, W) uint8


def tensor_source(name: str, images: Tensor, labels: Tensor | None) -> Source:
    """Images (N, C, H, W) uint8 that are in memory."""
    return Source(name, len(images), labels, lambda: iter(images.split(CHUNK)))


def class_indices(found: tuple[str, ...], data: ImageData, name: str) -> list[int] | None:
    """Each class of a folder as an index into the data's classes, by name or by number; None where there are none."""
    if found == (ONE_CLASS,):
        return None
    known = {c: i for i, c in enumerate(data.classes)}
    if not set(found) <= set(known):
        known = {str(i): i for i in range(len(data.classes))}
    if unknown := [c for c in found if c not in known]:
        raise ValueError(
            f"{name} has the classes {', '.join(unknown[:5])}, which {data.name} has not; name its folders after the "
            f"classes {', '.join(data.classes[:5])}, ..., or put all pictures into one folder to judge without classes"
        )
    return [known[c] for c in found]


def read(files: Files, name: str, spec: ImageSpec, shape: tuple[int, ...]) -> np.ndarray:
    """One picture (C, H, W); ValueError where it cannot be read or has another size than the data."""
    try:
        picture, _ = decode(files.read(name), spec)
    except Exception as e:  # Pillow raises all kinds
        raise ValueError(f"the picture {name} of {files.name} cannot be read; replace or remove it") from e
    if picture.shape != shape:
        sizes = f"{picture.shape[2]}×{picture.shape[1]}, the data {shape[2]}×{shape[1]}"
        raise ValueError(f"{name} is {sizes}; make the pictures that size, or say --resize")
    return picture


def folder_source(path: Path, data: ImageData, resize: bool = False) -> Source:
    """Pictures of a folder or zip, in class folders or in none, to be compared with `data`. Nothing but the list of
    names is held in memory. Channels are made the data's; sizes only with `resize`."""
    if not path.exists():
        raise ValueError(f"no folder of pictures at {path}; give the path of a folder, or of a zip")
    with open_files(path) as files:
        found = index(files)
    numbers = class_indices(found.classes, data, str(path))
    labels = torch.tensor([numbers[i] for i in found.labels]) if numbers else None
    shape = tuple(data.images.shape[1:])
    spec = ImageSpec(shape[1] if resize else None, shape[0])

    def chunks() -> Iterator[Tensor]:
        with open_files(path) as files:
            for i in range(0, len(found.names), CHUNK):
                some = [read(files, name, spec, shape) for name in found.names[i : i + CHUNK]]
                yield torch.from_numpy(np.stack(some))  # (B, C, H, W)

    return Source(path.name, len(found.names), labels, chunks)
