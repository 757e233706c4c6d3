"""One folder for each exercise; what several of them use lies beside the folders.

NAME/__init__.py      EXERCISE: its answer cells, its checks, and what the child may use
NAME/questions.py     the questions that the child asks of an answer, where those of autograder/child do not serve
NAME/gate.py          GATE: how a trained answer is judged, where it is trained
NAME/hints.txt        what `autograder check` says where a check fails once more; hints.txt: of checks that many share
NAME/mutants.txt      known answers, right and wrong, that show what the checks see; never released
NAME/references.txt   designs from which the gate's limits are made; never released
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
    """Every exercise by (assignment, name), in the order of the assignments and of the exercises' positions."""
    names = sorted(file.parent.name for file in HERE.glob("*/__init__.py"))
    found = [import_module(f"{__name__}.{name}").EXERCISE for name in names]
    found.sort(key=lambda e: (e.assignment, e.position, e.name))
    return {(e.assignment, e.name): e for e in found}


def __getattr__(name: str) -> Any:
    """EXERCISES is made when it is first asked for: an exercise's modules import this package before it is whole."""
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
