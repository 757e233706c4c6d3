"""The record of one submission, in Gradescope's format, and its possible outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autograder.exercises.base import Exercise

OUTCOMES = ("graded", "timeout", "crash", "invalid_output", "missing", "infrastructure_error")
GATE = "reference gate"  # the name of the gate's line
UNUSABLE = "unusable_result"  # the code of a notebook where a check stopped because of what the answer returned
GRADER_VERSION = "3"  # part of every record's key: raise it when a change to the grader changes a grade


@dataclass(frozen=True)
class Test:
    """One line of the result: a property, its points, and what the student reads."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    name: str
    score: float
    max_score: float
    output: str

    @property
    def passed(self) -> bool:
        return self.score >= self.max_score


@dataclass
class NotebookResult:
    """How one notebook did. `reason` is one sentence for the table and the student."""

    exercise: Exercise
    outcome: str
    reason: str
    tests: list[Test] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)  # of the gate, by the judge of record
    gate: float | None = None  # share of the gate's points, None if it was not run
    ended: str = ""  # the look at which the gate's run ended, in words (gate.sequential.at)
    code: str | None = None  # machine-readable cause, such as imported_answer, if there is one
    instructor: dict[str, Any] = field(default_factory=dict)  # never in results.json, which students may see
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        if self.outcome == "infrastructure_error":
            return None  # never a zero
        return sum(t.score for t in self.tests)

    def all_tests(self) -> list[Test]:
        """Every test of the exercise; those not reached have no points."""
        done = {t.name for t in self.tests}
        rest = [(c.name, c.points) for c in self.exercise.checks]
        if self.exercise.gate_cell:
            rest.append((GATE, self.exercise.gate_points))
        return [*self.tests, *(Test(n, 0.0, p, f"not judged: {self.reason}") for n, p in rest if n not in done)]

    def cells(self) -> dict[str, float]:
        """Automatic points by the grade_id of the cell that carries them."""
        if self.outcome == "infrastructure_error":
            return {}
        cell = {c.name: self.exercise.cell_of(c) for c in self.exercise.checks}
        if self.exercise.gate_cell:
            cell[GATE] = self.exercise.gate_cell
        points = dict.fromkeys(cell.values(), 0.0)
        for test in self.tests:
            points[cell[test.name]] += test.score
        return points


def outcome_of(outcomes: Sequence[str]) -> str:
    """The outcome of several: an infrastructure error takes precedence, then graded; missing comes last."""
    for decisive in ("infrastructure_error", "graded"):
        if decisive in outcomes:
            return decisive
    return next((o for o in outcomes if o != "missing"), "missing")


def record(student: str, assignment: str, notebooks: list[NotebookResult], **extra: Any) -> dict[str, Any]:
    """The record, as written to results.json."""
    outcome = outcome_of([n.outcome for n in notebooks])
    failed = outcome == "infrastructure_error"
    tests = [
        {
            "name": f"{n.exercise.name}: {t.name}",
            "score": round(t.score, 4),
            "max_score": t.max_score,
            "status": "passed" if t.passed else "failed",
            "output": t.output,
        }
        for n in notebooks
        if n.outcome != "infrastructure_error"
        for t in n.all_tests()
    ]
    score = None if failed else round(sum(n.score or 0.0 for n in notebooks), 4)
    return {
        "score": score,
        "max_score": sum(n.exercise.max_score for n in notebooks),
        "output": "\n".join(f"{n.exercise.name}: {n.reason}" for n in notebooks),
        "tests": tests,
        "extra_data": {
            "student": student,
            "assignment": assignment,
            "outcome": outcome,
            "notebooks": {
                n.exercise.name: {
                    "outcome": n.outcome,
                    "reason": n.reason,
                    "code": n.code,
                    "score": None if n.score is None else round(n.score, 4),
                    "max_score": n.exercise.max_score,
                    "cells": n.cells(),
                    "metrics": n.metrics,
                    "gate_ended": n.ended,
                    "timings": n.timings,
                }
                for n in notebooks
            },
            **extra,
        },
    }
