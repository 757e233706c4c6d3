"""A student's notebook made safe to view: nothing in it runs, and everything that was ours is restored.

formgrader and nbgrader's feedback show a notebook from the folder autograded/, as HTML in the instructor's browser,
where a script in a student's cell could set marks. So the copy is rebuilt: released cells and metadata, the student's
sources in the answer cells, no outputs, no active markup.
"""

import copy
import re
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader.utils import is_solution

from autograder.grading import private
from autograder.intake.extract import MAX_ANSWER, STUB, Unreadable, answer_id, grade_id, read_notebook, source_of
from autograder.intake.pieces import put_together

MAX_CELLS = 300  # besides the released ones; students add about 50, and each takes time at every write
MAX_TEXT = 1_000_000  # characters in those
CUT = "[The rest is not shown: it is too long.]"

# Active markup in markdown as formgrader renders it, each broken by a space: HTML tags and <autolinks>, links and
# images (no scheme is filtered, javascript: included), diagrams (their text reaches the page unescaped), and TeX macros
# that make links or attributes.
_ACTIVE = (
    (re.compile(r"<(?=[A-Za-z/!?])"), "< "),
    (re.compile(r"\](?=[(:])"), "] "),
    (re.compile(r"(```|~~~)(?=[ \t]*mermaid)", re.I), r"\1text "),  # no `{3,}: quadratic on a cell of backticks alone
    (re.compile(r"\\(?=(?:href|require|class|style|cssId|unicode)\b)"), r"\\ "),
)


def clean_text(value: Any) -> str:
    """A cell's source or a message as storable text: no control characters, no lone surrogates."""
    lines = value if isinstance(value, list) else [value]
    text = "".join(line if isinstance(line, str) else "[?]" for line in lines)  # str() of deep nesting would raise
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(ch for ch in text.replace("\r\n", "\n") if ch in "\n\t" or (ord(ch) >= 32 and ord(ch) != 127))


def inert_markdown(source: str) -> str:
    """Markdown that still shows its text and formulas, but can neither run a script nor link anywhere."""
    for pattern, replacement in _ACTIVE:
        source = pattern.sub(replacement, source)
    return source


def by_id(nb: NotebookNode) -> dict[str, NotebookNode]:
    """A restored notebook's nbgrader cells."""
    return {name: cell for cell in nb.cells if (name := grade_id(cell))}


def answers(path: Path) -> dict[str, str]:
    """The answers in a notebook written here before, if any."""
    try:
        cells = [cell for cell in read_notebook(path)["cells"] if isinstance(cell, dict)]
    except Unreadable:
        return {}
    return {name: source_of(cell) for cell in cells if (name := grade_id(cell)) and _is_answer(cell)}


def _is_answer(cell: dict[str, Any]) -> bool:
    return bool(cell["metadata"]["nbgrader"].get("solution"))


def viewable(path: Path, released: NotebookNode) -> NotebookNode:
    """The notebook at path, restored; if there is none to show, the released one with a note on top."""
    try:
        return restore(read_notebook(path)["cells"], released)
    except Exception as error:  # from a hostile notebook; the released one is shown, and the grades are written
        nb = copy.deepcopy(released)
        known = str(error) if isinstance(error, Unreadable) else type(error).__name__
        why = inert_markdown(clean_text(f"this is not a readable notebook ({known})"))
        note = f"**No answers are shown: {why}.** Below is the notebook as released."
        nb.cells.insert(0, new_markdown_cell(note, id="unreadable"))
        return nb


def restore(submitted: list[Any], released: NotebookNode) -> NotebookNode:
    """The student's cells in their order, with released cells, metadata and points; missing cells are restored.

    Like nbgrader's DeduplicateIds and OverwriteCells, which raise on metadata that a student has edited heavily, but
    this never fails. Of several cells with one id, the last gets the code that the grader combines from all of them, or
    for text the pieces in order. A cell is the answer for its id only if it has the answer's type, as in the grader; a
    written answer may have any type if none has the right one.
    """
    ours = by_id(released)
    made = _made_of_pieces([cell for cell in submitted if isinstance(cell, dict)], ours)
    texts = {(cell.cell_type, cell.source): cell for cell in released.cells if not grade_id(cell)}
    mine = [cell for cell in submitted if isinstance(cell, dict)]
    kinds = {(grade_id(cell), str(cell.get("cell_type"))) for cell in mine}
    unused = Counter((cell.cell_type, cell.source) for cell in released.cells if not grade_id(cell))
    any_kind = {n for n, cell in ours.items() if cell.cell_type == "markdown" and (n, "markdown") not in kinds}
    cells: list[NotebookNode] = []
    seen: set[str] = set()
    others = room = 0  # cells besides the released ones, and the characters in them
    for cell in reversed(mine):
        kind, source = str(cell.get("cell_type")), source_of(cell)
        name = answer_id(cell, ours)
        if name in ours and name not in seen and (kind == ours[name].cell_type or name in any_kind):
            seen.add(name)
            cells.append(_with_answer(ours[name], _cut(made.get((name, kind), source), MAX_ANSWER)))
        elif unused[kind, source] > 0:  # our own unchanged explanations keep their markup
            unused[kind, source] -= 1
            cells.append(copy.deepcopy(texts[kind, source]))
        elif (others := others + 1) <= MAX_CELLS and (room := room + len(source)) <= MAX_TEXT:
            text = clean_text(source)  # a raw cell would reach the page unchanged
            cells.append(new_code_cell(text) if kind == "code" else new_markdown_cell(inert_markdown(text)))
    cells.reverse()
    if others > MAX_CELLS or room > MAX_TEXT:
        most = f"{MAX_CELLS} cells or {MAX_TEXT:,} characters"
        note = f"**Not everything is shown:** besides the released cells, this notebook has more than {most}."
        cells.insert(0, new_markdown_cell(note))

    at = 0
    for name, cell in ours.items():  # in released order, so that the cell before a missing one always exists
        if name not in seen:
            cells.insert(at, copy.deepcopy(cell))
        at = 1 + next(i for i, known in enumerate(cells) if grade_id(known) == name)

    used: set[str] = set()
    theirs = {c.id for c in released.cells}
    for i, cell in enumerate(cells):
        if cell.id in used or cell.id not in theirs:
            cell.id = f"student-{i}"  # by position: the same submission gives the same file
        used.add(cell.id)
    return NotebookNode(cells=cells, metadata=released.metadata, nbformat=4, nbformat_minor=5)


def _made_of_pieces(mine: list[dict[str, Any]], ours: dict[str, NotebookNode]) -> dict[tuple[str, str], str]:
    """The answers split over several cells, by id and kind."""
    pieces: dict[tuple[str, str], list[str]] = {}
    for cell in mine:
        if name := answer_id(cell, ours):
            pieces.setdefault((name, str(cell.get("cell_type"))), []).append(source_of(cell))
    made = {}
    for (name, kind), sources in pieces.items():
        if len(sources) > 1 and kind == "code":
            made[name, kind] = put_together(name, sources, STUB.search)[0]
        elif len(sources) > 1:
            words = [s for s in dict.fromkeys(sources) if s.strip() and s.strip() != ours[name].source.strip()]
            made[name, kind] = "\n\n".join(words) or sources[-1]
    return made


def _cut(text: str, most: int) -> str:
    return clean_text(text) if len(text) <= most else f"{clean_text(text[:most])}\n{CUT}"


def _with_answer(cell: NotebookNode, source: str) -> NotebookNode:
    """The released cell, with the student's text if it is an answer cell."""
    cell = copy.deepcopy(cell)
    if is_solution(cell):
        cell.source = source if cell.cell_type == "code" else inert_markdown(source)
    return cell


def write_notebook(nb: NotebookNode, *paths: Path) -> None:
    """Write each whole file or nothing."""
    text = nbformat.writes(nb) + "\n"  # once: it checks the whole notebook
    for path in paths:
        private.write_text(path, text)
