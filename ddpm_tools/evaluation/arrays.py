"""Samples that another program saved as arrays: `.npz` in the format of OpenAI's samplers (arr_0: images, uint8 and
channels last; arr_1: labels), or `.npy`. Nothing is unpickled, and every assumption is reported."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IMAGES = ("arr_0", "images", "samples", "x")
LABELS = ("arr_1", "labels", "label", "y", "classes")
MAGIC = b"\x93NUMPY"
SLACK = 1e-3  # how far rounding may exceed a range


@dataclass(frozen=True)
class Samples:
    """Images (N, H, W) or (N, H, W, C) uint8, their labels if any, and what was assumed about them."""

    images: np.ndarray  # (N, H, W) or (N, H, W, C), uint8
    labels: np.ndarray | None  # (N,) whole numbers or names
    assumed: tuple[str, ...]  # sentences about what the file does not state: range, order of axes


def is_array(path: Path) -> bool:
    """Whether the content is an .npy file, or a zip of such files."""
    if not path.is_file():
        return False
    with path.open("rb") as f:
        if f.read(len(MAGIC)) == MAGIC or path.suffix.lower() in (".npy", ".npz"):
            return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as z:
        return bool(names := z.namelist()) and all(n.endswith(".npy") for n in names)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of images and labels in the file, by name. ValueError says what is wrong."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {IMAGES[0]: loaded}
        with loaded:
            wanted = [n for n in loaded.files if n in IMAGES + LABELS] or loaded.files[:1]
            return {name: loaded[name] for name in wanted}
    except MemoryError as e:
        raise ValueError(f"{path} does not fit into memory; split it into parts") from e
    except (ValueError, OSError, EOFError, KeyError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error) as e:
        with path.open("rb") as f:
            pickled = "Object arrays" in str(e) or f.read(1) == b"\x80"
        why = "it holds Python objects, which are never unpickled" if pickled else "it is no complete .npy or .npz file"
        raise ValueError(f"{path} cannot be read: {why}; save plain numbers with numpy.savez") from e


def as_bytes(x: np.ndarray, path: Path) -> tuple[np.ndarray, str]:
    """Any range that can be recognised -> uint8, and what was assumed; ValueError if it cannot."""
    if x.dtype == np.uint8:
        return x, ""
    if x.dtype == bool:
        return x.astype(np.uint8) * 255, "read as black and white"
    if x.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {x.dtype} where images should be; save uint8 from 0 to 255")
    low, high = float(x.min()), float(x.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{path} holds numbers that are not finite; check the program that drew them")
    said, whole = f"numbers from {low:.3g} to {high:.3g}", x.dtype.kind != "f"
    if low >= -SLACK and (whole or high > 1 + SLACK) and high <= 255 + SLACK:
        return x.clip(0, 255).round().astype(np.uint8), f"{said} read as 0 to 255"
    if whole or low < -1 - SLACK or high > 1 + SLACK:
        raise ValueError(f"{path} holds {said}, not a known range; save uint8 from 0 to 255, or floats in [-1, 1]")
    if low >= -SLACK:
        return (x.clip(0, 1) * 255).round().astype(np.uint8), f"{said} read as [0, 1]"
    return ((x.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8), f"{said} read as [-1, 1]"


def channels_last(x: np.ndarray, shape: Sequence[int], path: Path) -> tuple[np.ndarray, str]:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) -> channels last, if there are any. The `shape` (C, H, W) of the data
    decides between the two, else the axis that can be the channels."""
    if x.ndim == 3:
        return x, ""
    if x.ndim != 4:
        raise ValueError(f"{path} holds images of shape {x.shape}; save them as (N, H, W, C), or grey as (N, H, W)")
    size = shape[1:]
    first = tuple(x.shape[2:]) == tuple(size) and x.shape[1] in (1, 3, 4)
    last = tuple(x.shape[1:3]) == tuple(size) and x.shape[3] in (1, 3, 4)
    if not (first or last):  # not the size of the data
        first, last = x.shape[1] in (1, 3, 4), x.shape[3] in (1, 3, 4)
    if not (first or last):
        raise ValueError(f"{path} holds images of shape {x.shape}, where neither axis 1 nor 3 has 1, 3 or 4 channels")
    x, said = (x, "") if last else (np.moveaxis(x, 1, 3), "channels read from axis 1")
    return (x[..., 0] if x.shape[3] == 1 else x), said


def read_samples(path: Path, shape: Sequence[int]) -> Samples:
    """The samples in a file, for comparison with images of `shape` (C, H, W). ValueError, in one sentence, if they
    cannot be read."""
    arrays = load_arrays(path)
    name = next((n for n in IMAGES if n in arrays), next(iter(arrays), None))
    if name is None or arrays[name].size == 0:
        raise ValueError(f"{path} holds no images")
    images, order = channels_last(arrays[name], shape, path)
    images, scale = as_bytes(images, path)
    labels = next((arrays[n] for n in LABELS if n in arrays and n != name), None)
    if labels is not None:
        labels = labels.reshape(len(labels), -1) if labels.ndim else labels[None]
        if labels.shape != (len(images), 1):
            got = "×".join(map(str, labels.shape))
            raise ValueError(f"{path} holds {len(images)} images and {got} labels; give one whole number per image")
        labels = labels[:, 0]
        if labels.dtype.kind == "f" and (labels == labels.round()).all():
            labels = labels.astype(np.int64)
        if labels.dtype.kind not in "iuU":
            raise ValueError(f"{path} holds labels of type {labels.dtype}; give whole numbers, or class names")
    return Samples(images, labels, tuple(filter(None, (order, scale))))
