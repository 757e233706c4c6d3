"""What the lessons need besides the book: the student's own answers, and listings of the library's code.

A lesson sets an exercise, then continues with the student's answer:

    drop_labels = student("drop_labels", "5_2_guidance/label_dropout", drop_labels)
"""

from __future__ import annotations

import inspect
import json
import linecache
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from IPython.display import Markdown, display

from ddpm_core.config import COURSE

EXERCISES = COURSE / "exercises"
UNSOLVED = re.compile(r"^[ \t]*raise NotImplementedError\b", re.M)  # the released stub


def show(*objects: Any) -> None:
    """Display the source code of library objects."""
    for o in objects:
        display(Markdown(f"```python\n{inspect.getsource(o)}```"))


def fold(*objects: Any) -> None:
    """The same, folded away, for code that an exercise asks for."""
    for o in objects:
        title = f"The library's <code>{o.__name__}</code> (open it when yours works)"
        listing = f"```python\n{inspect.getsource(o)}```"
        display(Markdown(f"<details markdown><summary>{title}</summary>\n\n{listing}\n\n</details>"))


def student(
    name: str, exercise: str, library: Any, given: Mapping[str, Any] | None = None, folder: Path | None = None
) -> Any:
    """The student's answer `name`, or the library's if there is none yet; prints which of the two it is.

    exercise  "5_1_unconditional/ddim": the assignment and the notebook
    library   returned if the answer is missing, unfinished or does not run
    given     names that the answer can use besides the notebook's imports; its own earlier answers take precedence
    folder    where the assignments are: the course's exercises/, else the folder of the lesson or its parent

    Only the notebook's imports and its answer cells up to this one are run, no other cells.
    """
    places = [folder] if folder else [EXERCISES, Path.cwd(), Path.cwd().parent]
    found = [p / f"{exercise}.ipynb" for p in places if (p / f"{exercise}.ipynb").is_file()]
    solved = [p for p in found if name in dict(_answers(p))]
    if not solved:
        todo = "solve it there, then run this cell again" if found else "its notebook is not in this copy of the course"
        print(f"{name}: the library's, because exercise {exercise} has no answer yet ({todo}).")
        return library
    try:
        answer = _run(solved[0], name, dict(given or {}))
    except Exception as e:  # a student's cell can raise anything; the lesson goes on
        print(f"{name}: the library's, because your cell in {exercise} stops with {type(e).__name__}: {e}")
        return library
    print(f"{name}: yours, from exercise {exercise}.")
    return answer


def _answers(notebook: Path) -> Iterator[tuple[str, str]]:
    """(name, source) of the imports ("setup") and of every answer cell that is more than the stub, in order."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        marks = cell["metadata"].get("nbgrader", {})
        source = "".join(cell["source"])
        asked = marks.get("solution") or marks.get("grade_id") == "setup"
        if cell["cell_type"] == "code" and asked and source.strip() and not UNSOLVED.search(source):
            yield marks["grade_id"], source


def _run(notebook: Path, name: str, namespace: dict[str, Any]) -> Any:
    """Run the imports and the answers up to `name`; returns what the last one defines under this name."""
    for cell, source in _answers(notebook):
        place = f"<{notebook.stem}: {cell}>"
        linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)  # for tracebacks
        exec(compile(source, place, "exec"), namespace)
        if cell == name:
            break
    if name not in namespace:
        raise NameError(f"it defines no {name}")
    return namespace[name]
