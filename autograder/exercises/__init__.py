"""One module per exercise: its probes (inputs to run) and its checks (which judge the outputs)."""

from autograder.exercises import conditioner
from autograder.exercises.base import Exercise

EXERCISES: dict[tuple[str, str], Exercise] = {(e.assignment, e.name): e for e in (conditioner.EXERCISE,)}


def of_assignment(assignment: str) -> tuple[Exercise, ...]:
    """The graded notebooks of an assignment, in order."""
    return tuple(e for (a, _), e in EXERCISES.items() if a == assignment)


def assignments() -> tuple[str, ...]:
    return tuple(dict.fromkeys(a for a, _ in EXERCISES))
