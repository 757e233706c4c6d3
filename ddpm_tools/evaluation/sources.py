"""Images to be judged, in chunks: a tensor, an array of samples, or a folder of pictures read on demand."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_tools.datasets.files import Files, open_files
from ddpm_tools.datasets.layouts import ONE_CLASS, index
from ddpm_tools.datasets.load import announce
from ddpm_tools.datasets.pictures import ImageSpec, decode, flat, pixels
from ddpm_tools.datasets.reading import left_out, read_each
from ddpm_tools.evaluation.arrays import is_array, read_samples

CHUNK = 500  # images in memory at a time
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """n images with the classes asked for, if known; each call of `chunks()` starts from the beginning."""

    name: str  # name for messages and reports
    n: int  # number of images
    labels: Tensor | None  # (N,), the classes asked for; None if they are not known
    chunks: Callable[[], Iterator[Tensor]]  # yields (B, C, H, W) uint8
    notes: tuple[str, ...] = ()  # what was left out or assumed


def tensor_source(name: str, images: Tensor, labels: Tensor | None) -> Source:
    """Images (N, C, H, W) uint8 in memory."""
    return Source(name, len(images), labels, lambda: iter(images.split(CHUNK)))


def class_indices(found: Sequence[str], data: ImageData, name: str) -> list[int] | None:
    """Each class of a folder as an index into the data's classes, by name or by number; None if there are none."""
    if tuple(found) == (ONE_CLASS,):
        return None
    known = {c: i for i, c in enumerate(data.classes)}
    if not set(found) <= set(known):
        known = {str(i): i for i in range(len(data.classes))}
    if unknown := [c for c in found if c not in known]:
        raise ValueError(
            f"{name} has the classes {', '.join(unknown[:5])}, unknown in {data.name}; name its folders after the "
            f"classes {', '.join(data.classes[:5])}, ..., or put all pictures into one folder to judge without classes"
        )
    return [known[c] for c in found]


def other_size(names: Sequence[str], shape: Sequence[int], wanted: Sequence[int], n: int) -> ValueError:
    sizes = f"{shape[2]}×{shape[1]}, the data {wanted[2]}×{wanted[1]}"
    others = f" ({len(names)} of {n} pictures are of another size)" if len(names) > 1 else ""
    return ValueError(f"{names[0]} is {sizes}{others}; make the pictures that size, or use --resize")


def readable(files: Files, names: Sequence[str], spec: ImageSpec, shape: Sequence[int], strict: bool) -> dict[int, str]:
    """What cannot be read -> why, found before anything is measured. ValueError if nothing can be read, if sizes differ
    from the data's, or, with `strict`, if anything cannot be read."""
    odd: dict[int, tuple[int, ...]] = {}
    bad = read_each(files, names, spec, lambda i, x, _: None if x.shape == tuple(shape) else odd.update({i: x.shape}))
    if odd:
        first = min(odd)
        raise other_size([names[i] for i in sorted(odd)], odd[first], shape, len(names))
    if bad and (strict or len(bad) == len(names)):
        how = "with --strict this is an error" if len(bad) < len(names) else "nothing is left to judge"
        raise ValueError(f"{left_out(files, names, bad)}; {how}: replace or remove them")
    return bad


def folder_source(path: Path, data: ImageData, resize: bool = False, strict: bool = False) -> Source:
    """Pictures in a folder or zip, with or without class folders, to be compared with `data`. Only the list of names is
    held in memory. Channels are converted to the data's; sizes only with `resize`."""
    if not path.exists():
        raise ValueError(f"no folder of pictures at {path}; give the path of a folder, of a zip, or of an .npz file")
    if is_array(path):
        return array_source(path, data, resize)
    shape = tuple(data.images.shape[1:])
    spec = ImageSpec(shape[1] if resize else None, shape[0])
    with open_files(path) as files:
        found = index(files)
        announce(files, found, strict)
        numbers = class_indices(found.classes, data, str(path))
        bad = readable(files, found.names, spec, shape, strict)
        notes = (*found.left_out, *((left_out(files, found.names, bad),) if bad else ()))
    if bad:
        log.warning("%s", notes[-1])
    kept = [i for i in range(len(found.names)) if i not in bad]
    labels = torch.tensor([numbers[found.labels[i]] for i in kept]) if numbers else None

    def chunks() -> Iterator[Tensor]:
        with open_files(path) as files:
            for start in range(0, len(kept), CHUNK):
                some = [decode(files.read(found.names[i]), spec)[0] for i in kept[start : start + CHUNK]]
                yield torch.from_numpy(np.stack(some))  # (B, C, H, W)

    return Source(path.name, len(kept), labels, chunks, notes)


def label_indices(labels: np.ndarray, data: ImageData, path: Path) -> Tensor:
    """Labels (N,) as indices into the data's classes: whole numbers are indices, words are names."""
    if labels.dtype.kind == "U":
        classes, each = np.unique(labels, return_inverse=True)
        return torch.tensor(class_indices(classes.tolist(), data, str(path)))[each]
    if bad := next((int(y) for y in (labels.min(), labels.max()) if not 0 <= y < len(data.classes)), None):
        known = f"{data.name} has the classes 0 to {len(data.classes) - 1}, {', '.join(data.classes[:5])}, ..."
        raise ValueError(f"{path} has the label {bad}; {known}; omit the labels to judge without classes")
    return torch.from_numpy(labels.astype(np.int64))


def array_source(path: Path, data: ImageData, resize: bool = False) -> Source:
    """The samples in an .npz or .npy file, as a source like `folder_source`."""
    shape = tuple(data.images.shape[1:])
    samples = read_samples(path, shape)
    for text in (notes := tuple(f"{path.name}: {text}" for text in samples.assumed)):
        log.warning("%s", text)
    spec, n, labels = ImageSpec(shape[1] if resize else None, shape[0]), len(samples.images), None
    size = (shape[0], *samples.images.shape[1:3])
    if size != shape and not resize:
        raise other_size([path.name], size, shape, n)
    if samples.labels is not None:
        labels = label_indices(samples.labels, data, path)
    log.info("%s: %d images%s", path.name, n, "" if labels is None else f" of {len(labels.unique())} classes")

    def chunks() -> Iterator[Tensor]:
        for i in range(0, n, CHUNK):
            some = [pixels(flat(Image.fromarray(x)), spec) for x in samples.images[i : i + CHUNK]]
            yield torch.from_numpy(np.stack(some))  # (B, C, H, W)

    return Source(path.name, n, labels, chunks, notes)
