"""Each student's notebooks according to the records, and how every check ended.

A check that never ran, because its answer is missing or crashed, says nothing about its property.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from autograder.exercises import EXERCISES
from autograder.exercises.base import Check
from autograder.grading.results import GATE
from autograder.intake.student_ids import folder_of

HELD, PART, FAILED, NOT_RUN = STATES = "held", "part", "failed", "not run"  # how one check of one notebook ended


@dataclass(frozen=True)
class CheckResult:
    """One check of one notebook."""

    check: str
    answer: str | None  # the answer cell it judges; None: the notebook as a whole
    state: str  # one of STATES
    output: str
    points: str  # as shown: "0.5 / 1"


@dataclass(frozen=True)
class Entry:
    """One student's notebook."""

    student: str
    assignment: str
    exercise: str
    outcome: str
    reason: str
    score: float | None  # None if the grader failed
    max_score: float
    checks: tuple[CheckResult, ...]
    metrics: dict[str, float]
    timings: dict[str, float]
    gate_ended: str = (
        ""  # the look at which it ended, in words; missing in old records, from before there were several looks
    )

    @property
    def share(self) -> float | None:
        return None if self.score is None or not self.max_score else self.score / self.max_score

    @property
    def picture(self) -> str:
        """The picture that the grader drew of its gate, relative to the report's folder."""
        return f"{folder_of(self.student)}/{self.assignment}/{self.exercise}.png"

    @property
    def gate(self) -> str | None:
        """The state of its gate."""
        return next((c.state for c in self.checks if c.check == GATE), None)

    def ended(self, *states: str) -> list[CheckResult]:
        return [c for c in self.checks if c.state in states]


def entries(records: Iterable[dict[str, Any]]) -> list[Entry]:
    """One entry for each notebook of each record (parsed results.json), in the order of the course."""
    found = []
    for record in records:
        extra = record["extra_data"]
        tests = defaultdict(list)
        for test in record["tests"]:
            exercise, _, name = test["name"].partition(": ")
            tests[exercise].append(test | {"name": name})
        for name, n in extra["notebooks"].items():
            own = n["outcome"], n["reason"], n["score"], n["max_score"]
            results = _check_results(known_checks(extra["assignment"], name), tests[name])
            of_gate = n["metrics"], n["timings"], n.get("gate_ended", "")
            found.append(Entry(extra["student"], extra["assignment"], name, *own, results, *of_gate))
    order = list(EXERCISES)
    return sorted(found, key=lambda e: (position(order, (e.assignment, e.exercise)), e.student))


def known_checks(assignment: str, exercise: str) -> dict[str, Check]:
    """The checks of an exercise by name, in order; empty if this version of the course does not have it."""
    exercise = EXERCISES.get((assignment, exercise))
    return {c.name: c for c in exercise.checks} if exercise else {}


def position(order: Sequence[object], item: object) -> int:
    return order.index(item) if item in order else len(order)


def _check_results(known: dict[str, Check], tests: Sequence[dict]) -> tuple[CheckResult, ...]:
    answers = [known[t["name"]].answer if t["name"] in known else None for t in tests]
    outputs = defaultdict(set)  # by answer: the outputs of its checks, and whether they gave points
    for answer, t in zip(answers, tests):
        outputs[answer].add((t["score"] > 0, t["output"]))
    found = []
    for answer, t in zip(answers, tests):
        together = answer is not None and answers.count(answer) > 1 and len(outputs[answer]) == 1 and t["score"] <= 0
        if together or t["output"].startswith(("not judged: ", "not trained, ")):
            state = NOT_RUN  # the same sentence for all checks of an answer: it is missing, or did not run
        elif t["score"] >= t["max_score"]:
            state = HELD
        else:
            state = PART if t["score"] > 0 else FAILED
        found.append(CheckResult(t["name"], answer, state, t["output"], f"{t['score']:g} / {t['max_score']:g}"))
    return tuple(found)
