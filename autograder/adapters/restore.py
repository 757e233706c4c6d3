"""A student's notebook made fit to look at: nothing of it runs, and everything that was ours is ours again.

formgrader and nbgrader's feedback show a notebook from the folder autograded/, as HTML in the instructor's browser,
where a script in a student's cell could set marks. So the copy is built anew: released cells and metadata, the sources
that the student put into the answer cells, no outputs, no markup that acts.
"""

import copy
import datetime
import os
import re
import stat
from pathlib import Path
from typing import Any

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.utils import is_solution, parse_utc

from ddpm_core.files import write_text

MAX_BYTES = 32 * 2**20  # with outputs and pictures; a larger file is no homework, and parsing takes many times its size

# What markdown as formgrader renders it could act with, each broken by a space: HTML tags and <autolinks>, links and
# images (no scheme is filtered, javascript: included), diagrams (their text reaches the page unescaped), and TeX macros
# that make links or attributes.
_ACTIVE = (
    (re.compile(r"<(?=[A-Za-z/!?])"), "< "),
    (re.compile(r"\](?=[(:])"), "] "),
    (re.compile(r"(```|~~~)(?=[ \t]*mermaid)", re.I), r"\1text "),  # no `{3,}: quadratic on a cell of backticks alone
    (re.compile(r"\\(?=(?:href|require|class|style|cssId|unicode)\b)"), r"\\ "),
)
_OFFSET = re.compile(r"\s+([+-]\d\d:?\d\d)$")


class UnreadableError(ValueError):
    """There is no notebook that could be shown; the message says why, fit for the student."""


def clean_text(value: Any) -> str:
    """A cell's source or a message as text that can be stored: no control characters, no half surrogates."""
    lines = value if isinstance(value, list) else [value]
    text = "".join(line if isinstance(line, str) else "[?]" for line in lines)  # str() of deep nesting would raise
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(ch for ch in text.replace("\r\n", "\n") if ch in "\n\t" or (ord(ch) >= 32 and ord(ch) != 127))


def inert_markdown(source: str) -> str:
    """Markdown that shows what it says (also formulas), and can neither run a script nor link anywhere."""
    for pattern, replacement in _ACTIVE:
        source = pattern.sub(replacement, source)
    return source


def read_regular(path: Path, limit: int) -> bytes:
    """A file's bytes; never through a link, from a pipe, or more than limit: the folder is the student's."""
    try:
        # O_NONBLOCK: opening a named pipe would wait for a writer for ever
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadableError("it is not a regular file")
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise UnreadableError("it was not submitted") from None
    except OSError as error:
        raise UnreadableError(f"it could not be opened ({type(error).__name__})") from None
    if len(content) > limit:
        raise UnreadableError(f"it is larger than {limit // 2**20} MiB")
    return content


def read_submission(path: Path) -> NotebookNode:
    """The submitted notebook, brought to nbformat 4."""
    content = read_regular(path, MAX_BYTES)
    try:
        nb = nbformat.reads(content.decode("utf-8-sig"), as_version=4)
        if not all(isinstance(cell, dict) for cell in nb.cells):
            raise TypeError("cells")
    except Exception as error:  # whatever a hostile or broken file makes the parser raise
        raise UnreadableError(f"it is not a readable notebook ({type(error).__name__})") from None
    return nb


def timestamp(path: Path, problems: list[str]) -> datetime.datetime | None:
    """When it was submitted, in UTC, from the file that nbgrader's exchange leaves; None where that says nothing."""
    if not path.exists():
        return None
    try:
        text = read_regular(path, 200).decode().strip()
        return parse_utc(_OFFSET.sub(r"\1", text))  # apart from the time it would take +0100 for a hundred seconds
    except Exception as error:  # dateutil raises more than ValueError
        problems.append(f"timestamp.txt cannot be read ({type(error).__name__}); formgrader will stumble over it too")
        return None


def grade_id(cell: Any) -> str | None:
    """The id under which nbgrader knows a cell, whatever the student made of its metadata."""
    meta = cell.get("metadata")
    meta = meta.get("nbgrader") if isinstance(meta, dict) else None
    name = meta.get("grade_id") if isinstance(meta, dict) else None
    return name if isinstance(name, str) else None


def by_id(nb: NotebookNode) -> dict[str, NotebookNode]:
    """A restored notebook's nbgrader cells."""
    return {name: cell for cell in nb.cells if (name := grade_id(cell))}


def answers(path: Path) -> dict[str, str]:
    """The answers in a notebook that was written here before, or nothing."""
    try:
        return {name: cell.source for name, cell in by_id(read_submission(path)).items() if is_solution(cell)}
    except UnreadableError:
        return {}


def viewable(path: Path, released: NotebookNode) -> NotebookNode:
    """The notebook at path, restored, or the released one with a note on top where there is none to show."""
    try:
        return restore(read_submission(path), released)
    except Exception as error:  # of a hostile notebook; the released one is shown, and the grades are written
        nb = copy.deepcopy(released)
        known = isinstance(error, UnreadableError)
        text = str(error) if known else f"it is not a readable notebook ({type(error).__name__})"
        why = inert_markdown(clean_text(text))
        note = f"**No answers are shown: {why}.** Below is the notebook as it was released."
        nb.cells.insert(0, new_markdown_cell(note, id="unreadable"))
        return nb


def restore(submitted: NotebookNode, released: NotebookNode) -> NotebookNode:
    """The student's notebook in its order, with released cells, metadata and points; missing cells are put back.

    What nbgrader's DeduplicateIds and OverwriteCells do (the last of several cells with one id counts), but never
    failing: these two raise on metadata that a student has edited in earnest.
    """
    ours = by_id(released)
    texts = {(cell.cell_type, cell.source): cell for cell in released.cells if not grade_id(cell)}
    cells: list[NotebookNode] = []
    seen: set[str] = set()
    for cell in reversed(submitted.cells):
        name, kind, source = grade_id(cell), str(cell.get("cell_type")), clean_text(cell.get("source", ""))
        if name in ours and name not in seen:
            seen.add(name)
            cells.append(_with_answer(ours[name], source))
        elif (kind, source) in texts:  # an explanation as we wrote it keeps its markup
            cells.append(copy.deepcopy(texts[kind, source]))
        elif kind == "code":
            cells.append(new_code_cell(source))
        else:  # a raw cell would reach the page as it is
            cells.append(new_markdown_cell(inert_markdown(source)))
    cells.reverse()

    at = 0
    for name, cell in ours.items():  # in released order, so that the cell before a missing one is always there
        if name not in seen:
            cells.insert(at, copy.deepcopy(cell))
        at = 1 + next(i for i, known in enumerate(cells) if grade_id(known) == name)

    used: set[str] = set()
    for i, cell in enumerate(cells):
        if cell.id in used or cell.id not in {c.id for c in released.cells}:
            cell.id = f"student-{i}"  # by position: the same submission gives the same file
        used.add(cell.id)
    restored = NotebookNode(cells=cells, metadata=released.metadata, nbformat=4, nbformat_minor=5)
    MetadataValidator().validate_nb(restored)
    return restored


def _with_answer(cell: NotebookNode, source: str) -> NotebookNode:
    """The released cell, holding the student's text where that is what it is for."""
    cell = copy.deepcopy(cell)
    if is_solution(cell):
        cell.source = source if cell.cell_type == "code" else inert_markdown(source)
    return cell


def write_notebook(path: Path, nb: NotebookNode) -> None:
    """Write all of the file or nothing of it."""
    write_text(path, nbformat.writes(nb) + "\n")
