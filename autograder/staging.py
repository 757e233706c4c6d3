"""The folder that the child sees: the runner, the exercise's questions, and the allowed part of `ddpm_core`."""

from __future__ import annotations

import shutil
from pathlib import Path

from autograder.exercises.base import Exercise

CHILD = Path(__file__).parent / "child"
LIBRARY = Path(__file__).resolve().parents[1] / "ddpm_core"

HIDDEN_MODULE = '''"""Not available here: this module holds the answer to the exercise."""


class AnswerNotAvailable(ImportError):
    hidden_answer = True


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AnswerNotAvailable(f"`{name}` is imported from {__name__}, which holds the answer; write it yourself")
'''


def stage(exercise: Exercise, folder: Path) -> Path:
    """Write what the child may see into `folder`, and nothing else."""
    package = folder / "ddpm_core"
    package.mkdir(parents=True)
    for module in exercise.library:
        shutil.copyfile(LIBRARY / f"{module}.py", package / f"{module}.py")
    for module in exercise.hidden:
        (package / f"{module}.py").write_text(HIDDEN_MODULE, encoding="utf-8")
    shutil.copyfile(CHILD / "runner.py", folder / "runner.py")
    questions = folder / "autograder" / "child"
    questions.mkdir(parents=True)
    for name in ("__init__", "answers", "places", "protocol", exercise.operations, *exercise.questions):
        shutil.copyfile(CHILD / f"{name}.py", questions / f"{name}.py")
    (questions.parent / "__init__.py").touch()
    return folder
