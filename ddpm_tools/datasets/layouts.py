"""What a folder or zip says of its pictures, in any of three layouts.

1. `dataset.json` (StyleGAN and EDM): `labels` [[file, class], ...] or null, and optionally `classes` (names by index)
   and `captions` [[file, text], ...].
2. `metadata.jsonl` (Hugging Face's ImageFolder): a line {"file_name": ..., "text": ..., "label": ...} a picture, where
   text and label may be absent.
3. Folders, one a class: `cat/1.png`. A top level of `train` and `test` (or `val`, `heldout`) fixes the split. Pictures
   with no folder at all are one class.
"""

import json
import unicodedata
from dataclasses import dataclass
from typing import Any

from ddpm_tools.datasets.files import Files

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
PARTS = {"train": "train", "training": "train"}
PARTS |= dict.fromkeys(("test", "testing", "val", "valid", "validation", "heldout"), "heldout")
ONE_CLASS = "all"  # the class of pictures that come without any


@dataclass(frozen=True)
class Index:
    """Pictures in order, and what is known of each; `captions` and `parts` are empty where nothing is said."""

    names: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    captions: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()  # "train" or "heldout"


def normal(name: Any) -> str:
    """A file's name as Files has it."""
    if not isinstance(name, str):
        raise TypeError(f"a file name must be text, got {name!r}")
    return unicodedata.normalize("NFC", name.replace("\\", "/")).removeprefix("./")


def by_name(labels: list[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Class names, one a picture -> indices, and the classes in order: numbers by value, then the alphabet."""
    classes = tuple(sorted(set(labels), key=lambda c: (not c.isdecimal(), int(c) if c.isdecimal() else 0, c)))
    index = {c: i for i, c in enumerate(classes)}
    return tuple(index[c] for c in labels), classes


def from_dataset_json(text: str, pictures: list[str]) -> Index:
    """Layout 1, of these pictures. ValueError, TypeError or AttributeError where it is not that."""
    meta = json.loads(text)
    labels = {normal(f): k for f, k in meta.get("labels") or ()}
    captions = {normal(f): str(c) for f, c in meta.get("captions") or ()}
    if not ("labels" in meta or captions):
        raise ValueError("it has neither `labels` nor `captions`")
    names = tuple(labels or captions or pictures)
    if not labels:  # "labels": null, an unconditional set
        return Index(names, (0,) * len(names), (ONE_CLASS,), tuple(captions.values()))
    if bad := next((f"{k!r} of '{f}'" for f, k in labels.items() if type(k) is not int or k < 0), None):
        raise ValueError(f"labels must be whole numbers from 0, not {bad}")
    classes = tuple(meta.get("classes") or map(str, range(max(labels.values()) + 1)))
    if max(labels.values()) >= len(classes):
        raise ValueError(f"label {max(labels.values())} has no name among the {len(classes)} `classes`")
    return Index(names, tuple(labels.values()), classes, tuple(captions.get(f, "") for f in names) if captions else ())


def from_metadata(text: str, pictures: list[str]) -> Index:
    """Layout 2. ValueError, KeyError or TypeError where it is not that."""
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    labels, classes = by_name([str(r.get("label", ONE_CLASS)) for r in rows])
    captions = tuple(str(r.get("text", "")) for r in rows)
    return Index(tuple(normal(r["file_name"]) for r in rows), labels, classes, captions if any(captions) else ())


def from_folders(names: list[str]) -> Index:
    """Layout 3, from the pictures' names."""
    paths = [n.split("/") for n in names]
    parts: tuple[str, ...] = ()
    tops = {p[0].lower() for p in paths if len(p) > 1}
    if len(tops) > 1 and all(len(p) > 1 for p in paths) and tops <= set(PARTS):
        parts = tuple(PARTS[p[0].lower()] for p in paths)
        paths = [p[1:] for p in paths]
    loose = ["/".join(p) for p in paths if len(p) == 1]
    if loose and len(loose) < len(paths):
        raise ValueError(f"{len(loose)} pictures lie beside the class folders, such as {loose[0]}; move them into one")
    labels, classes = by_name([ONE_CLASS if loose else p[0] for p in paths])
    return Index(tuple(names), labels, classes, (), parts)


def wrapper(names: list[str]) -> str:
    """The folder around everything that packers add ('pets/' of 'pets/cat/1.png'), or ''."""
    top = {n.split("/")[0] for n in names if "/" in n}
    if len(top) != 1 or any("/" not in n for n in names):
        return ""
    prefix = f"{top.pop()}/"
    direct = [n for n in (n.removeprefix(prefix) for n in names) if "/" not in n]
    described = any(n in ("dataset.json", "metadata.jsonl") for n in direct)
    return prefix if described or not any(n.lower().endswith(PICTURES) for n in direct) else ""


def index(files: Files) -> Index:
    """What the folder or zip says of its pictures; ValueError where it says nothing that can be used."""
    names = list(files.stamps)
    prefix = wrapper(names)
    pictures = [n.removeprefix(prefix) for n in names if n.lower().endswith(PICTURES)]
    try:
        for described, parse in (("dataset.json", from_dataset_json), ("metadata.jsonl", from_metadata)):
            if prefix + described in files.stamps:
                found = parse(files.read(prefix + described).decode("utf-8-sig"), pictures)
                break
        else:
            described = "its folders"
            found = from_folders(pictures)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        reason = f"no '{e.args[0]}'" if isinstance(e, KeyError) else e
        raise ValueError(f"{files.path}: {described} cannot be used: {reason}") from e
    if not found.names:
        raise ValueError(f"{files.path} holds no pictures; give a folder of class folders, or a data set zip")
    return Index(tuple(prefix + n for n in found.names), found.labels, found.classes, found.captions, found.parts)
