"""The folder that the child sees: the runner, the exercise's questions, and the allowed part of `ddpm_core`."""

from __future__ import annotations

import shutil
from pathlib import Path

from autograder.exercises.base import Exercise
from autograder.sandbox.bubblewrap import DATA

CHILD = Path(__file__).resolve().parents[1] / "child"
LIBRARY = Path(__file__).resolve().parents[2] / "ddpm_core"

# Installed packages whose source holds answers: samplers, schedules, averages, networks.
WITH_ANSWERS = ("diffusers", "onnxruntime")

HIDDEN_MODULE = '''"""Not available here: this module holds the answer to the exercise."""


class AnswerNotAvailable(ImportError):
    hidden_answer = True


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AnswerNotAvailable(f"`{name}` is imported from {__name__}, which holds the answer; write it yourself")
'''


HIDDEN_PACKAGE = '''"""Not available here: this package holds answers to the course's exercises."""


class AnswerNotAvailable(ImportError):
    hidden_answer = True


raise AnswerNotAvailable(f"`{__name__}` is not available here, since it holds the answer; write it yourself")
'''


def hidden(exercise: Exercise) -> tuple[str, ...]:
    """Folders of site-packages that the exercise's child must find empty; `stage` puts a sentence in their place."""
    return (*DATA, *(name for name in WITH_ANSWERS if name not in exercise.packages))


def stage(exercise: Exercise, folder: Path) -> Path:
    """Write what the child may see into `folder`, and nothing else."""
    package = folder / "ddpm_core"
    package.mkdir(parents=True)
    for module in exercise.library:
        shutil.copyfile(LIBRARY / f"{module}.py", package / f"{module}.py")
    for module in exercise.hidden:
        (package / f"{module}.py").write_text(HIDDEN_MODULE, encoding="utf-8")
    for name in (n for n in WITH_ANSWERS if n not in exercise.packages):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(HIDDEN_PACKAGE, encoding="utf-8")
    shutil.copyfile(CHILD / "runner.py", folder / "runner.py")
    questions = folder / "autograder" / "child"
    questions.mkdir(parents=True)
    for name in ("__init__", "answers", "places", "protocol", exercise.operations, *exercise.questions):
        shutil.copyfile(CHILD / f"{name}.py", questions / f"{name}.py")
    (questions.parent / "__init__.py").touch()
    return folder
