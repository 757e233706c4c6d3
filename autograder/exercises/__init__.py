"""One module per exercise: its probes (inputs to run) and its checks (which judge the outputs)."""

from autograder.exercises import (
    adagn,
    architecture,
    conditioner,
    cross_attention,
    ddim,
    ema,
    guided_sampling,
    interpolation,
    label_dropout,
    prediction,
    schedules,
)
from autograder.exercises.base import Exercise

MODULES = (
    schedules,
    prediction,
    ddim,
    architecture,
    label_dropout,
    guided_sampling,
    ema,
    adagn,
    cross_attention,
    conditioner,
    interpolation,
)
EXERCISES: dict[tuple[str, str], Exercise] = {(m.EXERCISE.assignment, m.EXERCISE.name): m.EXERCISE for m in MODULES}


def of_assignment(assignment: str) -> tuple[Exercise, ...]:
    """The graded notebooks of an assignment, in order."""
    return tuple(e for (a, _), e in EXERCISES.items() if a == assignment)


def assignments() -> tuple[str, ...]:
    return tuple(dict.fromkeys(a for a, _ in EXERCISES))
