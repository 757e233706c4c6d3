"""One folder per exercise; code that several share lies beside the folders.

NAME/__init__.py      EXERCISE: its answer cells, its checks, and what the child may use
NAME/questions.py     the questions that the child asks of an answer, if those in autograder/child do not fit
NAME/gate.py          GATE: how a trained answer is judged, for exercises that train one
NAME/hints.txt        what `autograder check` says when a check fails again; beside the folders: for shared checks
NAME/rubric.txt       what earns the points of the written answer; never released
NAME/mutants.txt      known right and wrong answers, which show what the checks detect; never released
NAME/references.txt   designs from which the gate's limits are computed; never released
"""

from __future__ import annotations

import functools
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.exercises.base import Exercise

HERE = Path(__file__).resolve().parent


@functools.cache
def discovered() -> dict[tuple[str, str], Exercise]:
    """Every exercise by (assignment, name), ordered by assignment and position."""
    names = sorted(file.parent.name for file in HERE.glob("*/__init__.py"))
    found = [import_module(f"{__name__}.{name}").EXERCISE for name in names]
    found.sort(key=lambda e: (e.assignment, e.position, e.name))
    return {(e.assignment, e.name): e for e in found}


def __getattr__(name: str) -> Any:
    """EXERCISES is built on first use: an exercise's modules import this package before it is complete."""
    if name == "EXERCISES":
        return discovered()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def of_assignment(assignment: str) -> tuple[Exercise, ...]:
    """The graded notebooks of an assignment, in order."""
    return tuple(e for (a, _), e in discovered().items() if a == assignment)


def assignments() -> tuple[str, ...]:
    return tuple(dict.fromkeys(a for a, _ in discovered()))


def gate_of(name: str) -> Any:
    """The gate of an exercise (gate.harness.Gate), from its folder."""
    return import_module(f"{__name__}.{name}.gate").GATE
