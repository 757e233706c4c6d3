"""Reads model solutions of single cells from solutions/, to judge an answer that builds on another one. None is run."""

from pathlib import Path

from autograder.exercises.base import Exercise
from autograder.intake.extract import Unreadable, grade_id, read_notebook, source_of
from autograder.sandbox.limits import Failure
from ddpm_core.config import COURSE

SOLUTIONS = COURSE / "solutions"  # not in the students' bundle


def reference(exercise: Exercise, names: tuple[str, ...], solutions: Path = SOLUTIONS) -> dict[str, str]:
    """Return the course's own sources of some answer cells; Failure (infrastructure error) if one is missing."""
    path = solutions / exercise.assignment / f"{exercise.name}.ipynb"
    try:
        found = {grade_id(cell): source_of(cell) for cell in read_notebook(path)["cells"]}
        return {name: found[name] for name in names}
    except (Unreadable, KeyError) as e:
        raise Failure(
            "infrastructure_error",
            f"the model solution of {exercise.name} is needed to judge a cell that builds on it, but {e} is missing",
        ) from e
