"""Answers from a notebook, by grade_id. Reads JSON; never executes anything."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_BYTES = 20 << 20  # a notebook with pictures has some MB; only the answer cells matter
MAX_ANSWER = 200_000  # characters of one answer: more is no answer
STUB = re.compile(r"#\s*YOUR CODE HERE\s*\n\s*raise NotImplementedError\(\)")


class Unreadable(Exception):
    """The file holds no answers; the text says why and what to do."""


@dataclass(frozen=True)
class Answers:
    """Source by grade_id, remarks for the student, and why an answer is not there, by grade_id."""

    cells: dict[str, str]
    remarks: tuple[str, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)


def read_notebook(path: Path) -> dict[str, Any]:
    """The notebook's JSON; Unreadable with one sentence where it is none."""
    if not path.exists() and not path.is_symlink():
        raise Unreadable(f"there is no file {path.name}; hand in the notebook under this name")
    if path.is_symlink() or not path.is_file():
        raise Unreadable(f"{path.name} is not a regular file; hand in the notebook itself")
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable(f"{path.name} is larger than {MAX_BYTES >> 20} MB; clear its outputs and hand it in again")
    try:
        nb = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValueError) as e:
        raise Unreadable(f"{path.name} is not a notebook: its text is not JSON; save it in Jupyter again") from e
    except OSError as e:
        raise Unreadable(f"{path.name} cannot be read ({e.strerror}); hand it in again") from e
    if not isinstance(nb, dict) or not isinstance(nb.get("cells"), list):
        raise Unreadable(
            f"{path.name} is not a notebook of format 4: it has no list of cells; save it in Jupyter again"
        )
    return nb


def source_of(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def grade_id(cell: Any) -> str | None:
    """The nbgrader id of a cell, whatever else its metadata holds."""
    for key in ("metadata", "nbgrader", "grade_id"):
        if not isinstance(cell, dict):
            return None
        cell = cell.get(key)
    return cell if isinstance(cell, str) else None


def extract(path: Path, wanted: tuple[str, ...], together: bool = True) -> Answers:
    """The sources of the wanted cells; those that are missing, still the stub, or too long are `absent`.

    Unreadable where all are absent, or, for answers that are judged `together`, where one is. Where a grade_id occurs
    twice the last cell counts, as nbgrader has it.
    """
    cells: dict[str, str] = {}
    remarks = []
    for cell in read_notebook(path)["cells"]:
        name = grade_id(cell)
        if name in wanted and cell.get("cell_type") == "code":
            if name in cells:
                remarks.append(f"the cell `{name}` occurs more than once; the last one was graded")
            cells[name] = source_of(cell)
    groups = {
        f"{path.name} has no answer cell {{}}; start from the released notebook and keep its cells": [
            n for n in wanted if n not in cells
        ],
        "not answered: {} still holds the stub of the released notebook": [
            n for n in wanted if n in cells and (not cells[n].strip() or STUB.search(cells[n]))
        ],
        f"the answer {{}} in {path.name} has more than {MAX_ANSWER:,} characters; hand in the code alone": [
            n for n in wanted if len(cells.get(n, "")) > MAX_ANSWER
        ],
    }
    absent = {n: text.format(f"`{n}`") for text, names in groups.items() for n in names}
    if absent and (together or len(absent) == len(wanted)):
        text, names = next((text, names) for text, names in groups.items() if names)
        raise Unreadable(text.format(", ".join(f"`{n}`" for n in names)))
    return Answers({n: s for n, s in cells.items() if n not in absent}, tuple(dict.fromkeys(remarks)), absent)
