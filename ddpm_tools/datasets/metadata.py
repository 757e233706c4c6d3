"""`metadata.jsonl` and `metadata.csv` of Hugging Face's image folders. Each row names a picture, relative to the folder
of the metadata file. Of several such files, the one nearest to a picture counts."""

import csv
import io
import json
import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

METADATA = ("metadata.jsonl", "metadata.csv")
LABELS = ("label", "class", "category")
TEXTS = ("text", "caption", "prompt")
NO_LABEL = {"", "none", "null", "nan", "na", "n/a", "<na>"}  # how tables mark a missing label


@dataclass(frozen=True)
class Said:
    """What the metadata say about one picture."""

    label: str | None  # the class; None if none is given
    text: str  # the caption, or ""
    source: str  # the name of the metadata file


def json_rows(text: str) -> list[dict[str, Any]]:
    rows = []
    for i, line in enumerate(text.split("\n"), 1):  # not splitlines: captions can contain U+2028
        if line.strip():
            try:
                rows.append(dict(json.loads(line).items()))
            except (ValueError, AttributeError):
                raise ValueError(f"line {i} is not a JSON object, {line.strip()[:40]}") from None
    return rows


def csv_rows(text: str) -> list[dict[str, Any]]:
    """Rows of a table whose columns are separated by commas, semicolons or tabs, whichever its first line contains."""
    head = text.partition("\n")[0]
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True))
    except csv.Error as e:
        raise ValueError(f"it is not a table: {e}") from e
    for i, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise ValueError(f"row {i} has {'more' if None in row else 'fewer'} cells than the first; quote its texts")
    cells = [{k.strip(): v.strip() for k, v in row.items()} for row in rows]
    return [{k: None if k in LABELS and v.lower() in NO_LABEL else v for k, v in row.items()} for row in cells]


def name_column(columns: Iterable[str]) -> str:
    """`file_name`, or the only column that ends in it; ValueError if there is none, or more than one."""
    found = [c for c in columns if c == "file_name" or c.endswith("_file_name")]
    first = next((c for c in ("file_name", "image_file_name") if c in found), found[0] if len(found) == 1 else None)
    if first is None:
        several = f"several, {', '.join(found)}; rename the right one to file_name" if found else "none"
        raise ValueError(f"it needs one column `file_name`, but has {several}")
    return first


def label_of(value: Any, name: str) -> str | None:
    """A label as text, None if there is none: null, or -1 as in Hugging Face's test parts."""
    if value is None or value in (-1, "-1", "") or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        raise ValueError(f"the label of {name} is {str(value)[:40]}; it must be a word or a whole number")
    return str(value).strip()


def whole(labels: Sequence[str | None]) -> list[str | None]:
    """Labels without the '.0' that tables with gaps add to whole numbers."""
    if all(x is None or (x.endswith(".0") and x[:-2].isdecimal()) for x in labels):
        return [x and x[:-2] for x in labels]
    return list(labels)


def read_rows(name: str, text: str, normal: Callable[[Any], str]) -> dict[str, Said]:
    """Picture -> what one metadata file says about it. ValueError if the file is malformed."""
    rows = json_rows(text) if name.lower().endswith(".jsonl") else csv_rows(text)
    if not rows:
        raise ValueError("it has no rows")
    columns = dict.fromkeys(c for row in rows for c in row)
    file_name = name_column(columns)
    label, caption = (next((c for c in known if c in columns), None) for known in (LABELS, TEXTS))
    names = [posixpath.normpath(posixpath.join(posixpath.dirname(name), normal(row.get(file_name)))) for row in rows]
    labels = whole([label_of(row.get(label), n) for row, n in zip(rows, names)])
    said: dict[str, Said] = {}
    for row, n, y in zip(rows, names, labels):
        if n in said and said[n].label != y:
            raise ValueError(f"it gives {n} two labels, {said[n].label} and {y}")
        told = row.get(caption)
        said.setdefault(n, Said(y, "" if told is None else str(told), name))
    return said


def metadata_files(names: Iterable[str]) -> list[str]:
    """The metadata files present, nearest to the root first. ValueError if one cannot be used."""
    names = [n for n in names if posixpath.basename(n).lower().startswith("metadata.")]
    found = [n for n in names if posixpath.basename(n).lower() in METADATA]
    folders = [posixpath.dirname(n) for n in found]
    for n in names:
        if n.lower().endswith(".parquet") and posixpath.dirname(n) not in folders:
            raise ValueError(f"the labels in {n} would be lost: it is not read; save it as {' or '.join(METADATA)}")
    if twice := next((n for n in found if folders.count(posixpath.dirname(n)) > 1), None):
        raise ValueError(f"{twice} is not the only metadata file in its folder; keep one of them")
    return sorted(found, key=lambda n: (n.count("/"), n))
