"""Many pictures into one array: decoded in threads, with one report of everything wrong, and a cache for large sets.

A picture is left out only for a reason in the file itself, so the next reading leaves out the same ones."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import UnidentifiedImageError
from PIL import __version__ as PILLOW
from tqdm.auto import tqdm

from ddpm_core.checkpoint import write_text
from ddpm_tools.datasets.files import Files, Trouble
from ddpm_tools.datasets.pictures import ImageSpec, decode

LARGE = 2000  # pictures: fewer are decoded in about a second, which needs neither a progress bar nor a cache
CHUNK = 64  # pictures per task: one task each would cost more than decoding a small picture
NAMED = 10  # names listed in a message
VERSION = 2  # of the cache format: raise it when the same files would give other pixels


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


@dataclass(frozen=True)
class Pictures:
    """Pictures in the order of their names, without the `bad` ones."""

    images: np.ndarray  # (N, C, H, W) uint8, the readable pictures
    bad: dict[int, str]  # position among the names -> why it cannot be read

    def rows(self, n: int) -> dict[int, int]:
        """Position among the n names -> row of `images`."""
        return {i: row for row, i in enumerate(i for i in range(n) if i not in self.bad)}


def left_out(files: Files, names: Sequence[str], bad: Mapping[int, str]) -> str:
    """One sentence that names the unreadable pictures, each with the reason."""
    said = some([f"{names[i]} ({bad[i]})" for i in sorted(bad)])
    return f"{len(bad)} of {len(names)} pictures of {files.name} cannot be read and are left out: {said}"


def reason(e: Exception, data: bytes | None) -> str:
    """Why a picture cannot be read, in a few words that do not vary between readings."""
    if data == b"":
        return "it is empty"
    if isinstance(e, UnidentifiedImageError):
        return "it is not a picture in a known format"
    return " ".join(str(e).split()).rstrip(".")[:80] or type(e).__name__


def attempt(files: Files, name: str, spec: ImageSpec) -> tuple[np.ndarray, bool] | str:
    """The decoded picture and whether it is grey, or why it cannot be read."""
    data = None
    try:
        data = files.read(name)
        return decode(data, spec)
    except (Trouble, MemoryError):
        raise
    except Exception as e:  # Pillow raises all kinds: OSError, SyntaxError, struct.error, its bomb guard, ...
        return reason(e, data)


def read_each(
    files: Files, names: Sequence[str], spec: ImageSpec, take: Callable[[int, np.ndarray, bool], None]
) -> dict[int, str]:
    """Pass each picture, its position and whether it is grey to `take`, from several threads. Returns why each of the
    others cannot be read."""
    bad: dict[int, str] = {}

    def work(chunk: range) -> int:
        for i in chunk:
            got = attempt(files, names[i], spec)
            if isinstance(got, str):
                bad[i] = got
            else:
                take(i, *got)
        return len(chunk)

    chunks = [range(i, min(i + CHUNK, len(names))) for i in range(0, len(names), CHUNK)]
    bar = tqdm(total=len(names), unit="img", desc=f"reading {files.name}", disable=len(names) < LARGE)
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))  # Pillow releases the GIL while decoding
    try:
        for n in pool.map(work, chunks):
            bar.update(n)
    finally:  # also after Ctrl-C: start nothing new
        pool.shutdown(cancel_futures=True)
        bar.close()
    return dict(sorted(bad.items()))


def read_pictures(files: Files, names: Sequence[str], spec: ImageSpec) -> Pictures:
    """Pictures by name. ValueError if none can be read, or if sizes differ and none is requested."""
    first, bad = None, {}
    for i, name in enumerate(names):  # the first readable picture sets the size for the others
        if not isinstance(first := attempt(files, name, spec), str):
            break
        bad[i] = first
    if len(bad) == len(names):
        raise ValueError(f"{left_out(files, names, bad)}; nothing is left to learn from")
    shape = first[0].shape  # (C, H, W)
    need, free = len(names) * int(np.prod(shape)), psutil.virtual_memory().available
    if need > free:
        raise ValueError(
            f"the {len(names)} pictures of {files.name} need {need / 1e9:.1f} GB at {shape[2]}×{shape[1]}, and "
            f"{free / 1e9:.1f} GB of memory is free; load them smaller, or fewer"
        )
    out, odd, colour = np.empty((len(names), *shape), np.uint8), {}, np.zeros(len(names), bool)

    def take(i: int, picture: np.ndarray, grey: bool) -> None:
        colour[i] = not grey
        if picture.shape == shape:
            out[i] = picture
        else:
            odd[i] = f"{picture.shape[2]}×{picture.shape[1]}"

    bad = read_each(files, names, spec, take)
    if odd:
        sizes = some([f"{names[i]} ({odd[i]})" for i in sorted(odd)])
        raise ValueError(
            f"{len(odd)} of {len(names)} pictures of {files.name} are not {shape[2]}×{shape[1]} like the first: "
            f"{sizes}; make them one size, or load with a `size`, which crops and resizes them all"
        )
    for row, i in enumerate(i for i in range(len(names)) if i not in bad):
        if row != i:
            out[row] = out[i]  # close the gaps in place: a copy might not fit
    out = out[: len(names) - len(bad)]
    return Pictures(out if spec.channels or colour.any() else out[:, :1], bad)


def digest(files: Files, names: Sequence[str], spec: ImageSpec) -> str:
    """A hash of the pictures' names, their `stamps`, the spec, and the decoder's version. A zip has a checksum of each
    member, so a copy elsewhere counts as the same; a folder's files count as the same by path, size and time."""
    where = str(files.path.resolve()) if files.path.is_dir() else ""
    stamped = [(n, *files.stamps[n]) for n in names if n in files.stamps]
    key = [VERSION, PILLOW, where, asdict(spec), stamped, len(names)]
    return hashlib.blake2b(json.dumps(key).encode(), digest_size=16).hexdigest()


def kept_pictures(kept: Path, n: int) -> Pictures | None:
    """The cached copy at `kept`, with what it left out; None if it is absent, damaged or of other pictures."""
    with contextlib.suppress(OSError, ValueError, EOFError, AttributeError):
        beside = kept.with_suffix(".json")
        told = json.loads(beside.read_text("utf-8")) if beside.exists() else {}
        bad = {int(i): str(why) for i, why in told.items()}
        pictures = np.load(kept, mmap_mode="c", allow_pickle=False)  # read on demand; changes never reach the file
        if pictures.dtype == np.uint8 and len(pictures) + len(bad) == n and pictures.ndim == 4:
            return Pictures(pictures, bad)
    return None


def keep(kept: Path, images: np.ndarray) -> None:
    """Write the copy atomically, so that nobody reads half a file."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(f".{os.getpid()}.tmp")
    try:
        with draft.open("wb") as f:
            np.save(f, images)
        os.replace(draft, kept)
    finally:
        draft.unlink(missing_ok=True)


def cached_pictures(files: Files, names: Sequence[str], spec: ImageSpec, cache: Path) -> Pictures:
    """As read_pictures, but a large set is decoded once and kept in `cache`, which can be deleted at any time."""
    if len(names) < LARGE:
        return read_pictures(files, names, spec)
    kept = cache / f"{digest(files, names, spec)}.npy"
    if found := kept_pictures(kept, len(names)):
        return found
    made = read_pictures(files, names, spec)
    with contextlib.suppress(OSError):  # no space, or no permission: the pictures are in memory anyway
        if made.bad:
            write_text(kept.with_suffix(".json"), json.dumps(made.bad))  # first: a copy without it counts as damaged
        keep(kept, made.images)
    return made
