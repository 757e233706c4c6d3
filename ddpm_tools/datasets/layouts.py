"""What a folder or zip says about its pictures, in any of three layouts.

1. `dataset.json` (StyleGAN and EDM): `labels` [[file, class], ...] or null, and optionally `classes` (names by index)
   and `captions` [[file, text], ...].
2. `metadata.jsonl` or `metadata.csv` (Hugging Face's ImageFolder), see `metadata`: at the root, in the folders of a
   split, or in both.
3. Folders, one per class: `cat/1.png`. Folders called `train` and `test`, or similar, define the split, see `folders`.
   Pictures without any folder form one class.
"""

import json
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ddpm_tools.datasets.files import Files, counted
from ddpm_tools.datasets.folders import KINDS, places
from ddpm_tools.datasets.metadata import Said, metadata_files, read_rows
from ddpm_tools.datasets.pictures import extension, picture_extensions

ONE_CLASS = "all"  # the class of pictures without classes
DATASET = "dataset.json"


@dataclass(frozen=True)
class Index:
    """Pictures in order, and what is known about each; `captions` and `parts` are empty if not given."""

    names: tuple[str, ...]  # paths inside the folder or zip
    labels: tuple[int, ...]  # an index into `classes` for each
    classes: tuple[str, ...]  # names of the classes, in order
    captions: tuple[str, ...] = ()  # one for each picture, or none at all
    parts: tuple[str, ...] = ()  # "train" or "heldout"
    left_out: tuple[str, ...] = ()  # sentences about pictures that were found but not used
    unread: tuple[tuple[str, int], ...] = ()  # extensions of other files, and how many there are


def normal(name: Any) -> str:
    """A file's name in the form of Files."""
    if not isinstance(name, str):
        raise TypeError(f"a file name must be text, got {name!r}")
    return unicodedata.normalize("NFC", name.replace("\\", "/")).removeprefix("./")


def by_name(labels: Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Class names, one per picture -> indices, and the classes in order: numbers by value, then alphabetically."""
    classes = tuple(sorted(set(labels), key=lambda c: (not c.isdecimal(), int(c) if c.isdecimal() else 0, c)))
    index = {c: i for i, c in enumerate(classes)}
    return tuple(index[c] for c in labels), classes


def aside(names: Sequence[str], why: str) -> tuple[str, ...]:
    """One sentence about pictures that are left out, or none."""
    return (f"left out: {counted(len(names), 'picture')} {why}, such as {names[0]}",) if names else ()


def of_each(value: Any, what: str) -> dict[str, Any]:
    """[[file, value], ...], or the same as an object -> values by file. ValueError if a file has two values."""
    pairs = [(normal(f), v) for f, v in (value.items() if isinstance(value, dict) else value or ())]
    found = dict(pairs)
    if twice := next((f for f, v in pairs if found[f] != v), None):
        raise ValueError(f"`{what}` names {twice} twice, with different values")
    return found


def from_dataset_json(text: str, pictures: list[str]) -> Index:
    """Layout 1 for these pictures. ValueError, TypeError or AttributeError if it does not have that form."""
    meta = json.loads(text)
    labels = of_each(meta.get("labels"), "labels")
    captions = {f: str(c) for f, c in of_each(meta.get("captions"), "captions").items()}
    if not ("labels" in meta or captions):
        raise ValueError("it has neither `labels` nor `captions`")
    names = tuple(labels or captions or pictures)
    known = set(names)  # once, not for each of 50,000 pictures
    left = aside([p for p in pictures if p not in known], f"not named in {DATASET}")
    if not labels:  # "labels": null, an unconditional set
        return Index(names, (0,) * len(names), (ONE_CLASS,), tuple(captions.values()), left_out=left)
    if bad := next((f"{k!r} of '{f}'" for f, k in labels.items() if type(k) is not int or k < 0), None):
        raise ValueError(f"labels must be whole numbers, 0 or more, not {bad}")
    named = meta.get("classes") or list(range(max(labels.values()) + 1))
    if not isinstance(named, list):
        raise ValueError("`classes` must be a list of names, in the order of the labels")
    classes = tuple(map(str, named))
    if max(labels.values()) >= len(classes):
        raise ValueError(f"label {max(labels.values())} has no name among the {len(classes)} `classes`")
    told = tuple(captions.get(f, "") for f in names) if captions else ()
    return Index(names, tuple(labels.values()), classes, told, left_out=left)


def placed(names: Sequence[str], labels: Sequence[str | None] | None, captions: Sequence[str]) -> Index:
    """Pictures whose folders give the split, and also the class if `labels` is None."""
    where, everything = places(names), range(len(names))
    split, left = set(where.parts) >= KINDS, ()
    mine = [i for i in everything if where.parts[i] or not split]
    if split:
        left += aside([names[i] for i in everything if not where.parts[i]], "outside the folders of the split")
    found = where.classes if labels is None else [y or "" for y in labels]
    classed = [i for i in mine if found[i]]
    if classed and len(classed) < len(mine):
        loose = [i for i in mine if not found[i]]
        if labels is None and not (split and {where.parts[i] for i in loose} == {"heldout"}):
            bad = f"{counted(len(loose), 'picture')} {'lies' if len(loose) == 1 else 'lie'} outside the class folders"
            raise ValueError(f"{bad}, such as {names[loose[0]]}; move them into one")
        left += aside([names[i] for i in loose], "without a class, while others have one")
        mine = classed
    split = split and {where.parts[i] for i in mine} == KINDS  # else the remaining pictures are split anew
    indices, classes = by_name([found[i] or ONE_CLASS for i in mine])
    parts = tuple(where.parts[i] for i in mine) if split else ()
    told = tuple(captions[i] for i in mine) if any(captions) else ()
    return Index(tuple(names[i] for i in mine), indices, classes, told, parts, left)


def from_folders(names: list[str]) -> Index:
    """Layout 3, from the names of the pictures."""
    return placed(names, None, [""] * len(names))


def from_metadata(said: dict[str, Said], pictures: list[str]) -> Index:
    """Layout 2. Without any labels, the folders name the classes, if each picture is in one."""
    names, labels = list(said), [s.label for s in said.values()]
    source = next(iter(said.values())).source
    if not set(names) & set(pictures):
        raise ValueError(f"none of its file names, such as {names[0]}, is a picture, relative to its own folder")
    if not any(labels) and all(places(names).classes):
        labels = None
    found = placed(names, labels, [s.text for s in said.values()])
    left = aside([p for p in pictures if p not in said], f"not named in {posixpath.basename(source)}")
    return replace(found, left_out=found.left_out + left)


def text_of(files: Files, name: str) -> str:
    """A text file, in UTF-8 or, like some tables, in UTF-16 with a byte-order mark."""
    data = files.read(name)
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def dataset_index(files: Files, name: str, pictures: list[str]) -> Index:
    """Layout 1, wherever its file is: that folder is the data set."""
    base = name.removesuffix(DATASET)
    found = from_dataset_json(text_of(files, name), [p.removeprefix(base) for p in pictures if p.startswith(base)])
    left = found.left_out + aside([p for p in pictures if not p.startswith(base)], f"beside {DATASET}")
    return replace(found, names=tuple(base + n for n in found.names), left_out=left)


def index(files: Files) -> Index:
    """What the folder or zip says about its pictures; ValueError if that cannot be used."""
    pictures = [n for n in files.stamps if extension(n) in picture_extensions()]
    by, used = "its folders", [n for n in files.stamps if posixpath.basename(n) == DATASET]
    try:
        if used:
            by = DATASET
            if len(used) > 1:
                raise ValueError(f"there are several, {', '.join(used[:3])}; give the folder of one of them")
            found = dataset_index(files, used[0], pictures)
        elif used := metadata_files(files.stamps):
            said: dict[str, Said] = {}
            for by in used:
                said |= read_rows(by, text_of(files, by), normal)  # the file nearest to a picture comes last
            found = from_metadata(said, pictures)
        else:
            found = from_folders(pictures)
    except RecursionError as e:
        raise ValueError(f"{files.path}: {by} cannot be used: it is nested too deeply") from e
    except (ValueError, TypeError, AttributeError, OSError) as e:
        raise ValueError(f"{files.path}: {by} cannot be used: {e}") from e
    known = {*used, *pictures, *found.names}
    others = Counter(extension(n) or posixpath.basename(n) for n in files.stamps if n not in known)
    found = replace(found, unread=tuple(sorted(others.items())))
    if not found.names:
        holds = f" ({unread(found)})" if others else ""
        raise ValueError(f"{files.path} holds no pictures{holds}; give a folder of class folders, or a data set zip")
    return found


def unread(found: Index) -> str:
    """'3 .heic, 1 .txt': the other files."""
    most = sorted(found.unread, key=lambda kind: -kind[1])
    more = f" and {len(most) - 10} other kinds" if len(most) > 10 else ""
    return ", ".join(f"{n} {extension}" for extension, n in most[:10]) + more
