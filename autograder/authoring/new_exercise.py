"""Creates a new exercise: its folder and its solution notebook, a small example that already passes all tests."""

import argparse
import json
import keyword
from collections.abc import Callable
from pathlib import Path
from string import Template

from autograder.exercises import assignments, of_assignment

SKELETON = Path(__file__).parent / "skeleton"


def create(name: str, assignment: str, course: Path) -> tuple[Path, Path]:
    """Write the folder and the notebook, and return both; ValueError if the name or assignment cannot be used."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"'{name}' is not a name that Python can import; use letters, digits and _, such as my_exercise"
        )
    if assignment not in assignments():
        raise ValueError(f"unknown assignment '{assignment}'; known: {', '.join(assignments())}")
    exercises = course / "autograder/exercises"
    if not exercises.is_dir():
        raise ValueError(f"{course} is not the course's folder: it has no autograder/exercises (name it with --course)")
    folder, notebook = exercises / name, course / f"solutions/{assignment}/{name}.ipynb"
    for taken in (folder, folder.with_suffix(".py"), *sorted(course.glob(f"solutions/*/{name}.ipynb"))):
        if taken.exists():
            raise ValueError(f"the name '{name}' is taken: {taken} exists; choose another")
    position = 1 + max(e.position for e in of_assignment(assignment))
    words = {"name": name, "assignment": assignment, "position": position, "lesson": lesson(assignment, course)}
    folder.mkdir()
    written = {"exercise": folder / "__init__.py", "notebook": notebook}
    written |= {skeleton: folder / f"{skeleton}.txt" for skeleton in ("mutants", "rubric")}
    for skeleton, file in written.items():
        text = (SKELETON / f"{skeleton}.txt").read_text(encoding="utf-8")
        file.write_text(Template(text).substitute(words), encoding="utf-8")
    return folder, notebook


def lesson(assignment: str, course: Path) -> str:
    """Return the first section of the assignment's lesson, to be replaced by the one that explains the exercise."""
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
    about = "Start an exercise: a folder with checks and known answers, and a solution notebook."
    p = command("new-exercise", run, about, "signal_to_noise --assignment 5_1_unconditional")
    p.add_argument("name", help="of the folder, the notebook and the answer: a Python identifier")
    p.add_argument("--assignment", required=True)
