"""Builds the folder that the child sees: runner, the exercise's questions, and the allowed part of `ddpm_core`."""

import shutil
from pathlib import Path

from autograder.exercises.base import Exercise
from autograder.imports import ROOT, file_of, reached
from autograder.sandbox.bubblewrap import DATA

# Installed packages whose source holds answers: samplers, schedules, EMA, networks.
WITH_ANSWERS = ("diffusers", "onnxruntime")

HIDDEN = '''"""Not available here: it holds answers to the course's exercises."""


class AnswerNotAvailable(ImportError):
    hidden_answer = True


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AnswerNotAvailable(f"`{name}` is imported from {__name__}, which holds the answer; write it yourself")


if "__path__" in globals():  # a package cannot be imported at all
    raise AnswerNotAvailable(f"`{__name__}` is not available here, since it holds the answer; write it yourself")
'''


def hidden(exercise: Exercise) -> tuple[str, ...]:
    """Return the folders of site-packages that the child must find empty; `stage` puts a message in their place."""
    return (*DATA, *(name for name in WITH_ANSWERS if name not in exercise.packages))


def questions(exercise: Exercise) -> set[Path]:
    """Return the files that run beside the answer: the runner, the exercise's questions, and what these import.

    ValueError if one of them imports something that the child must not see.
    """
    allowed = {ROOT / f"ddpm_core/{module}.py" for module in exercise.library}
    own = file_of(exercise.questions)
    found = reached(["autograder.child.runner", exercise.questions], packages=False) - allowed
    for file in found - {own}:
        if not file.is_relative_to(ROOT / "autograder/child"):
            name = file.relative_to(ROOT).as_posix()
            raise ValueError(f"{exercise.name}: the child's questions import {name}, which the child does not get")
    return found | {ROOT / "autograder/child/__init__.py"}


def stage(exercise: Exercise, folder: Path) -> Path:
    """Write what the child may see into `folder`, and nothing else; returns `folder`.

    All questions go into autograder/child, both the exercise's own and those that exercises share.
    """
    package = folder / "ddpm_core"
    package.mkdir(parents=True)
    for module in exercise.library:
        shutil.copyfile(ROOT / f"ddpm_core/{module}.py", package / f"{module}.py")
    for module in exercise.hidden:
        (package / f"{module}.py").write_text(HIDDEN, encoding="utf-8")
    for name in (n for n in WITH_ANSWERS if n not in exercise.packages):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(HIDDEN, encoding="utf-8")
    child = folder / "autograder" / "child"
    child.mkdir(parents=True)
    for file in questions(exercise):
        shutil.copyfile(file, (folder if file.name == "runner.py" else child) / file.name)
    (child.parent / "__init__.py").touch()
    return folder
