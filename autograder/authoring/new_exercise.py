"""A new exercise: its folder and its solution notebook, as a small whole that already passes the tests of all."""

import argparse
import json
import keyword
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

from autograder.exercises import assignments, of_assignment

SKELETON = Path(__file__).parent / "skeleton"

TITLE = """\
# Exercise: $name

Say what it is for, and what goes in and comes out:

| you write | shapes | what it is |
|---|---|---|
| `$name(x)` | any -> the same | twice `x` |"""
TASK = """\
## `$name`

* The result is a new tensor, on the device of `x`; `x` itself stays as it is."""
ANSWER = '''\
def $name(x: torch.Tensor) -> torch.Tensor:
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION'''
SELF_CHECK = """\
# Self-check: for you, not for the grade. Run it as often as you like.
x = torch.tensor([1.0, -2.0, 3.0])
out = $name(x)
assert isinstance(out, torch.Tensor), f"expected a tensor, got {type(out).__name__}: is the return missing?"
assert torch.equal(out, torch.tensor([2.0, -4.0, 6.0])), f"expected 2, -4 and 6, got {out.tolist()}"
print("looks right")"""
CHECKS = """\
# 10 points for $name, given by `autograder grade`, outside of this notebook.
# Preview them with: autograder check $name.ipynb"""
QUESTION = """\
## A question (3 points, marked by hand)

Why must `x` itself stay as it is?"""
MODEL_ANSWER = "Whoever called `$name` may still need it."


def create(name: str, assignment: str, course: Path) -> tuple[Path, Path]:
    """Write the folder and the notebook; ValueError with one sentence where the name or the assignment cannot be."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"'{name}' is not a name that Python can import; use letters, digits and _, such as my_exercise"
        )
    if assignment not in assignments():
        raise ValueError(f"unknown assignment '{assignment}'; known: {', '.join(assignments())}")
    exercises = course / "autograder/exercises"
    if not exercises.is_dir():
        raise ValueError(f"{course} is not the course's folder: autograder/exercises missing (name it with --course)")
    folder, notebook = exercises / name, course / f"solutions/{assignment}/{name}.ipynb"
    for taken in (folder, folder.with_suffix(".py"), *sorted(course.glob(f"solutions/*/{name}.ipynb"))):
        if taken.exists():
            raise ValueError(f"the name '{name}' is taken: {taken} exists; choose another")
    position = 1 + max(e.position for e in of_assignment(assignment))
    words = {"name": name, "assignment": assignment, "position": position, "lesson": lesson(assignment, course)}
    folder.mkdir()
    for file, skeleton in (("__init__.py", "exercise.txt"), ("mutants.txt", "mutants.txt")):
        text = (SKELETON / skeleton).read_text(encoding="utf-8")
        (folder / file).write_text(Template(text).substitute(words), encoding="utf-8")
    cells = json.loads(Template(json.dumps(notebook_cells(name))).substitute(words))
    whole = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    notebook.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder, notebook


METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook_cells(name: str) -> list[dict[str, Any]]:
    """Text, set-up, task, answer, self-check, checks, question and its answer, as nbgrader wants them."""

    def cell(kind: str, id: str, source: str, **roles: Any) -> dict[str, Any]:
        given = {"grade": False, "locked": False, "schema_version": 3, "solution": False, "task": False}
        metadata = {"nbgrader": {**given, "grade_id": id, **roles}} if roles else {}
        made = {"cell_type": kind, "id": id, "metadata": metadata, "source": source.splitlines(keepends=True)}
        return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})

    return [
        cell("markdown", "intro", TITLE),
        cell("code", "setup", "import torch", locked=True),
        cell("markdown", "task", TASK),
        cell("code", name, ANSWER, solution=True),
        cell("code", f"{name}_selfcheck", SELF_CHECK, locked=True),
        cell("code", f"{name}_checks", CHECKS, locked=True, grade=True, points=10),
        cell("markdown", "question", QUESTION),
        cell("markdown", f"{name}_written", MODEL_ANSWER, solution=True, grade=True, points=3),
    ]


def lesson(assignment: str, course: Path) -> str:
    """The first section of the assignment's lesson, to be replaced by the one that explains the exercise."""
    notebook = json.loads((course / f"lessons/{assignment}.ipynb").read_text(encoding="utf-8"))
    lines = (
        line for c in notebook["cells"] if c["cell_type"] == "markdown" for line in "".join(c["source"]).splitlines()
    )
    section = next(line for line in lines if line.startswith("## ")).removeprefix("## ").strip()
    return f"lesson {'.'.join(assignment.split('_')[:2])}, “{section}”"


def run(a: argparse.Namespace) -> None:
    folder, notebook = create(a.name, a.assignment, a.course)
    print(f"{folder}\n{notebook}\nnow edit both, then run: python -m autograder.release.generate {a.course}")


def register(command: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Begin an exercise: a folder with checks and known answers, and a solution notebook."
    p = command("new-exercise", run, about, "signal_to_noise --assignment 5_1_unconditional")
    p.add_argument("name", help="of the folder, the notebook and the answer: a Python identifier")
    p.add_argument("--assignment", required=True)
