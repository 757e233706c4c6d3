"""ImageData by name or by path, in the requested size and number of channels."""

import logging
import mimetypes
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ddpm_core.config import DATA_DIR
from ddpm_core.data import ImageData, digits
from ddpm_tools.datasets.digits28 import digits28
from ddpm_tools.datasets.files import Files, counted, open_files
from ddpm_tools.datasets.folders import split_alone
from ddpm_tools.datasets.layouts import ONE_CLASS, Index, index, unread
from ddpm_tools.datasets.pictures import ImageSpec, extension, pixels
from ddpm_tools.datasets.reading import cached_pictures, left_out
from ddpm_tools.datasets.splits import SPLITS, positions
from ddpm_tools.datasets.vision import TORCHVISION, torchvision_data

log = logging.getLogger(__name__)  # the commands show all messages, other programs only warnings
SHOWN = 20  # classes listed in a message
TABLE = re.compile(r"(label|caption|annotation|metadata)[^/]*\.(json\w*|csv|tsv|txt|xlsx|parquet)$")
OURS = {"digits": digits, "digits28": digits28}  # split -> ImageData, with no download
EMOJI = DATA_DIR / "captions/emoji.zip"  # ships; made by scripts/emoji_captions.py


def summary(name: str, found: Index) -> str:
    """What was found, in one line: a wrong class is seen here, not after an hour's training."""
    n, counts = len(found.names), Counter(found.labels)
    classes = [f"{c} ({counts[i]})" for i, c in enumerate(found.classes)]
    more = f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
    which = f"{len(classes)} class{'es' * (len(classes) > 1)}: {', '.join(classes[:SHOWN])}{more}"
    which = "without classes" if found.classes == (ONE_CLASS,) else which
    parts = Counter(found.parts)
    split = f"; its own folders give {parts['train']} to train on and {parts['heldout']} held out" if parts else ""
    return f"{name}: {counted(n, 'picture')}, {which}{split}{'; with captions' * bool(found.captions)}"


def doubts(files: Files, found: Index) -> list[str]:
    """What may not be as intended."""
    seen = {part: {y for y, p in zip(found.labels, found.parts) if p == part} for part in set(found.parts)}
    unseen = [found.classes[y] for y in sorted(seen["heldout"] - seen["train"])] if seen else []
    said = [f"{files.name}: classes only in its held-out part: {', '.join(unseen[:SHOWN])}"] if unseen else []
    for name in filter(split_alone, found.classes):
        said.append(f"{files.name}: '{name}' is taken as a class; a split needs both a training and a test folder")
    tables = [n for n in files.stamps if TABLE.search(n.lower()) and extension(n) in dict(found.unread)]
    if tables:
        said.append(
            f"{files.name}: {tables[0]} is not read; labels and captions must be in metadata.jsonl or metadata.csv"
        )
    return said


def announce(files: Files, found: Index, strict: bool) -> None:
    """Report what was found and what was not read; with `strict`, ValueError if a picture is left out."""
    pictures = [e for e, _ in found.unread if str(mimetypes.guess_type(f"x{e}", strict=False)[0]).startswith("image/")]
    unsaid = f"{files.name}: files that are not read: {unread(found)}" if found.unread else ""
    if pictures:
        unsaid += f"; save the {', '.join(pictures)} as PNG or JPEG to use them"
    for text in (*files.notes, *found.left_out):
        if strict:
            raise ValueError(f"{files.path}: {text}; with --strict this is an error")
        log.warning("%s", text if files.name in text else f"{files.name}: {text}")
    if strict and pictures:
        raise ValueError(f"{unsaid}; with --strict this is an error")
    for text in (unsaid, summary(files.name, found), *doubts(files, found)):
        if text:
            log.info("%s", text)


def data_files(path: Path, split: str, spec: ImageSpec, cache: Path, strict: bool = False) -> ImageData:
    """A folder or zip in one of the layouts of `layouts`. ValueError says what is wrong, naming the files."""
    with open_files(path) as files:
        found = index(files)
        announce(files, found, strict)
        try:
            chosen = positions(found, split)
        except ValueError as e:
            raise ValueError(f"{path}: {e}") from e
        pictures = cached_pictures(files, found.names, spec, cache)  # all pictures, so that the splits share one copy
        if pictures.bad:
            text = left_out(files, found.names, pictures.bad)
            if strict:
                raise ValueError(f"{text}; with --strict this is an error: replace or remove them")
            log.warning("%s", text)
    rows = pictures.rows(len(found.names))
    keep = [i for i in chosen if i in rows]  # chosen beforehand, so that a bad picture moves no other from part to part
    if not keep:
        raise ValueError(f"{path}: no picture of the split `{split}` can be read; replace them")
    whole = len(keep) == len(pictures.images)
    images = torch.from_numpy(pictures.images if whole else pictures.images[[rows[i] for i in keep]])  # (N, C, H, W)
    captions = tuple(found.captions[i] for i in keep) if found.captions else ()
    labels = torch.tensor([found.labels[i] for i in keep])
    missing = tuple(found.names[i] for i in chosen if i not in rows)
    return ImageData(path.stem, split, images, labels, found.classes, captions, missing)


def resized(data: ImageData, spec: ImageSpec) -> ImageData:
    """The same data as the spec requires, as with pictures from files."""
    c, h, w = data.images.shape[1:]
    if (spec.size or h, spec.size or w, spec.channels or c) == (h, w, c):
        return data

    wanted = replace(spec, channels=spec.channels or c)
    arrays = (x[0] if c == 1 else x.transpose(1, 2, 0) for x in data.images.numpy())  # (H, W) or (H, W, 3)
    images = np.stack([pixels(Image.fromarray(x), wanted) for x in arrays])  # (N, C, size, size)
    return replace(data, images=torch.from_numpy(images))


def load_data(
    name: str, split: str = "train", root: Path | str = Path("build/datasets"),
    size: int | None = None, channels: int | None = None, strict: bool = False,
) -> ImageData:  # fmt: skip
    """A data set by name (digits, digits28, fashion-mnist, cifar10, emoji) or by the path of a folder or zip. `size`
    crops each picture to its central square and resizes it, `channels` makes it grey (1) or RGB (3). Without them,
    pictures stay as they are and must all be alike. Splits are `train`, `heldout` and `all`, which is both. Digits and
    digits28 hold out a fifth, torchvision's sets their test part, folders and zips a tenth of each class (chosen by a
    hash of the file name) or their own `test` folder. `root` holds downloads and decoded copies of large sets.
    Pictures that cannot be read are logged and left out, or, with `strict`, refused. ValueError, in one sentence, for
    anything wrong with the name or with the pictures."""
    if split not in SPLITS:
        raise ValueError(f"unknown split '{split}'; known: {', '.join(SPLITS)}")
    spec = ImageSpec(size, channels)
    if name in OURS:
        return resized(OURS[name](split), spec)
    if name in TORCHVISION:
        return resized(torchvision_data(name, split, Path(root)), spec)
    if name == "emoji":  # 1,911 of Noto, 32×32 RGB on white, ten categories, with captions ('tiger, animal mammal')
        return data_files(EMOJI, split, spec, Path())  # too few for a kept copy
    if Path(name).exists():
        return data_files(Path(name), split, spec, Path(root) / "cache", strict)
    raise ValueError(
        f"unknown data set '{name}'; known: {', '.join([*OURS, *TORCHVISION])}, emoji, "
        f"or the path of a folder of class folders or of a data set zip"
    )
