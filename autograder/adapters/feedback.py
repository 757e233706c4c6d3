"""What a student sees of a graded notebook: the checks' messages and the gate's picture, nothing hidden.

Both come from files the student may see: results.json and the picture beside it, never instructor.json. They become
the outputs of the test cells, which nbgrader's feedback and formgrader show under the points, with comments by hand.
"""

import base64
import textwrap
from pathlib import Path

from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_output
from nbgrader.utils import is_grade, is_solution

from autograder.adapters import restore
from autograder.exercises import EXERCISES
from autograder.grading.results import GATE
from autograder.intake.extract import Unreadable, read_bytes

MAX_REPORT = 8000  # characters
MAX_PICTURE = 4 * 2**20  # bytes; ours have about 100 KB
SHOWN = {"width": "100%", "alt": "the trained answer among limits, references and controls, and its samples"}
WIDTH = 96  # characters; nbgrader's pages do not wrap an output
PNG = b"\x89PNG\r\n\x1a\n"


def cells_of_tests(assignment: str, notebook: str) -> dict[str, str | None]:
    """The cell that carries the points of each check, by the check's name; also of the gate."""
    if not (exercise := EXERCISES.get((assignment, notebook))):
        return {}
    return {c.name: exercise.cell_of(c) for c in exercise.checks} | {GATE: exercise.gate_cell}


def show(nb: NotebookNode, assignment: str, notebook: str, given: dict, tests: list[dict], folder: Path) -> None:
    """Give every test cell of `nb` its checks' messages, and the gate's cell folder/<notebook>.png if it exists.

    given: the notebook's part of the record; tests: the record's. Messages are plain text: they may quote student code,
    which must not run. Messages of a check the exercise no longer has go under the first test cell.
    """
    cells = [cell for cell in nb.cells if is_grade(cell) and not is_solution(cell) and cell.cell_type == "code"]
    if not cells:
        return
    exercise = EXERCISES.get((assignment, notebook))
    bearers = cells_of_tests(assignment, notebook)
    names = [restore.grade_id(cell) for cell in cells]
    texts: dict[str | None, list[str]] = {name: [] for name in names}
    why = f" ({given['reason']})" if given.get("reason") else ""
    texts[names[0]].append(f"outcome: {given.get('outcome')}{why}")
    for test in tests:
        prefix, _, title = str(test.get("name")).partition(": ")
        if prefix == notebook and test.get("visibility") != "hidden":
            texts.get(bearers.get(title), texts[names[0]]).append(_line(title, test))
    for name, cell in zip(names, cells):
        lines = (textwrap.fill(t, WIDTH, subsequent_indent=" " * 8) for part in texts[name] for t in part.split("\n"))
        text = restore.clean_text("\n".join(lines))[:MAX_REPORT]
        cell.outputs = [new_output("stream", text=text)] if text else []
        if exercise and name == exercise.gate_cell and (picture := _picture(folder / f"{notebook}.png")):
            cell.outputs.append(new_output("display_data", {"image/png": picture}, metadata={"image/png": SHOWN}))


def _line(title: str, test: dict) -> str:
    """One check: whether it passed, and if not, why."""
    score, most, output = test.get("score"), test.get("max_score"), test.get("output") or ""
    if test.get("status") == "passed":
        return f"passed  {title}" + (f": {output}" if output not in ("", "holds") else "")
    some = isinstance(score, int | float) and isinstance(most, int | float) and 0 < score < most
    return f"{'partly' if some else 'FAILED'}  {title}" + (f": {output}" if output else "")


def _picture(path: Path) -> str | None:
    """The picture in base64, if it is one and a plain file."""
    try:
        content = read_bytes(path)
    except Unreadable:
        return None
    return base64.b64encode(content).decode() if content.startswith(PNG) and len(content) <= MAX_PICTURE else None
