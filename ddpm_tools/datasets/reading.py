"""Many pictures into one array: threads decode, whatever is wrong is named all at once, and large sets are kept."""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil
from tqdm.auto import tqdm

from ddpm_tools.datasets.files import Files
from ddpm_tools.datasets.pictures import ImageSpec, decode

LARGE = 2000  # pictures: below that, decoding takes about a second, and neither bar nor kept copy is worth it
CHUNK = 64  # pictures a task: a task for each would cost more than decoding a small one
NAMED = 10  # names in a message
VERSION = 1  # of what is kept on disk: raise it when the same files would give other pixels


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def complaints(files: Files, names: Sequence[str], unreadable: list[int], odd: dict[int, str], size: str) -> str:
    """One sentence that names every picture that is in the way, or ''."""
    said, n = [], len(names)
    if unreadable:
        bad = some([names[i] for i in sorted(unreadable)])
        said.append(f"{len(unreadable)} of {n} pictures of {files.name} cannot be read: {bad}; replace or remove them")
    if odd:
        bad = some([f"{names[i]} ({odd[i]})" for i in sorted(odd)])
        said.append(
            f"{len(odd)} of {n} pictures of {files.name} are not {size} as the first is: {bad}; "
            f"make them one size, or load with a `size`, which crops and resizes all"
        )
    return "; and ".join(said)


def read_pictures(files: Files, names: Sequence[str], spec: ImageSpec) -> np.ndarray:
    """Pictures by name -> (N, C, H, W) uint8. ValueError names every picture that cannot be read or differs in size."""
    unreadable: list[int] = []
    odd: dict[int, str] = {}
    colour = np.zeros(len(names), bool)
    shape = None
    for i in range(len(names)):  # the first readable picture says what the others must be
        with contextlib.suppress(Exception):
            shape = decode(files.read(names[i]), spec)[0].shape  # (C, H, W)
            break
    if shape is None:
        raise ValueError(complaints(files, names, list(range(len(names))), odd, ""))
    need, free = len(names) * int(np.prod(shape)), psutil.virtual_memory().available
    if need > free:
        raise ValueError(
            f"the {len(names)} pictures of {files.name} need {need / 1e9:.1f} GB at {shape[2]}×{shape[1]}, and "
            f"{free / 1e9:.1f} GB of memory are free; load them smaller, or fewer"
        )
    out = np.empty((len(names), *shape), np.uint8)

    def work(chunk: range) -> int:
        for i in chunk:
            try:
                picture, grey = decode(files.read(names[i]), spec)
            except Exception:  # Pillow raises all kinds: OSError, SyntaxError, struct.error, its bomb guard, ...
                unreadable.append(i)
                continue
            colour[i] = not grey
            if picture.shape == shape:
                out[i] = picture
            else:
                odd[i] = f"{picture.shape[2]}×{picture.shape[1]}"
        return len(chunk)

    chunks = [range(i, min(i + CHUNK, len(names))) for i in range(0, len(names), CHUNK)]
    bar = tqdm(total=len(names), unit="img", desc=f"reading {files.name}", disable=len(names) < LARGE)
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))  # Pillow decodes outside the interpreter's lock
    try:
        for n in pool.map(work, chunks):
            bar.update(n)
    finally:  # also after Ctrl-C: what has not begun is not begun
        pool.shutdown(cancel_futures=True)
        bar.close()
    if text := complaints(files, names, unreadable, odd, f"{shape[2]}×{shape[1]}"):
        raise ValueError(text)
    return out if spec.channels or colour.any() else out[:, :1]


def digest(files: Files, names: Sequence[str], spec: ImageSpec) -> str:
    """Changes with the pictures' names, their content as far as `stamps` tells, and the spec. A zip carries a checksum
    of each member, so a copy of it elsewhere counts as the same; a folder's files count as the same by place, size and
    time."""
    where = str(files.path.resolve()) if files.path.is_dir() else ""
    key = [VERSION, where, asdict(spec), [(n, *files.stamps[n]) for n in names if n in files.stamps], len(names)]
    return hashlib.blake2b(json.dumps(key).encode(), digest_size=16).hexdigest()


def cached_pictures(files: Files, names: Sequence[str], spec: ImageSpec, cache: Path) -> np.ndarray:
    """As read_pictures; a large set is decoded once and kept in `cache`, which may be deleted at any time."""
    if len(names) < LARGE:
        return read_pictures(files, names, spec)
    kept = cache / f"{digest(files, names, spec)}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):  # absent or damaged: decode again
        pictures = np.load(kept, mmap_mode="c", allow_pickle=False)  # read as needed; writing would not reach the file
        if pictures.dtype == np.uint8 and len(pictures) == len(names) and pictures.ndim == 4:
            return pictures
    pictures = read_pictures(files, names, spec)
    draft = cache / f"{kept.stem}.{os.getpid()}.tmp"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as f:
            np.save(f, pictures)
        os.replace(draft, kept)  # in one step: nobody ever reads half a file
    except OSError:  # no space, or no right to write: the pictures are there all the same
        draft.unlink(missing_ok=True)
    return pictures
