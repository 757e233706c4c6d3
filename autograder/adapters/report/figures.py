"""What a class's records say, as plain numbers: nothing here knows of HTML.

A check that was never reached, because its answer is not there or did not run, says nothing about the property: it is
counted apart, and so is whatever the grader itself failed at.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from autograder.exercises import EXERCISES
from autograder.intake.student_ids import folder_of

GATE = "reference gate"
HELD, PART, FAILED, NOT_RUN = "held", "part", "failed", "not run"  # how one check of one notebook ended
BINS = 11  # of a histogram of scores: tenths, and full marks by themselves


@dataclass(frozen=True)
class Verdict:
    """One check of one notebook."""

    check: str
    answer: str | None  # the answer cell that it judges; None: the notebook as a whole
    state: str  # HELD, PART, FAILED or NOT_RUN
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
    score: float | None  # None where the grader failed
    max_score: float
    verdicts: tuple[Verdict, ...]
    metrics: dict[str, float]
    timings: dict[str, float]

    @property
    def share(self) -> float | None:
        return None if self.score is None or not self.max_score else self.score / self.max_score

    @property
    def picture(self) -> str:
        """Where the grader put the picture of its gate, from the folder of the report."""
        return f"{folder_of(self.student)}/{self.assignment}/{self.exercise}.png"

    def gate(self) -> Verdict | None:
        return next((v for v in self.verdicts if v.check == GATE), None)


def entries(records: Iterable[dict[str, Any]]) -> list[Entry]:
    """One entry for each notebook of each record (parsed results.json), in the order of the course."""
    found = []
    for record in records:
        extra = record["extra_data"]
        tests = defaultdict(list)
        for test in record["tests"]:
            exercise, _, name = test["name"].partition(": ")
            tests[exercise].append((name, test))
        for name, n in extra["notebooks"].items():
            verdicts = _verdicts(extra["assignment"], name, tests[name])
            found.append(
                Entry(
                    *(extra["student"], extra["assignment"], name, n["outcome"], n["reason"], n["score"]),
                    *(n["max_score"], verdicts, n["metrics"], n["timings"]),
                )
            )
    order = {key: i for i, key in enumerate(EXERCISES)}
    return sorted(found, key=lambda e: (order.get((e.assignment, e.exercise), len(order)), e.student))


def answer_of(assignment: str, exercise: str, check: str) -> str | None:
    """The answer cell that a check judges, as far as this version of the course knows it."""
    known = EXERCISES.get((assignment, exercise))
    return next((c.answer for c in known.checks if c.name == check), None) if known else None


def lesson_of(assignment: str, exercise: str, check: str) -> str:
    """Where the lesson explains a property, or nothing."""
    known = EXERCISES.get((assignment, exercise))
    return next((c.lesson for c in known.checks if c.name == check), "") if known else ""


def _verdicts(assignment: str, exercise: str, tests: Sequence[tuple[str, dict]]) -> tuple[Verdict, ...]:
    answers = {name: answer_of(assignment, exercise, name) for name, _ in tests}
    said = defaultdict(set)  # by answer: what its checks said, and whether one of them was passed
    for name, test in tests:
        if answers[name] is not None:
            said[answers[name]].add((test["score"] > 0, test["output"]))
    of_answer = Counter(a for a in answers.values() if a is not None)
    found = []
    for name, test in tests:
        answer = answers[name]
        lost = answer is not None and of_answer[answer] > 1 and len(said[answer]) == 1 and test["score"] <= 0
        if lost or test["output"].startswith(("not judged: ", "not trained, ")):
            state = NOT_RUN  # one sentence for all checks of an answer: it is not there, or did not run
        elif test["score"] >= test["max_score"]:
            state = HELD
        else:
            state = PART if test["score"] > 0 else FAILED
        points = f"{test['score']:g} / {test['max_score']:g}"
        found.append(Verdict(name, answer, state, test["output"], points))
    return tuple(found)


def by_exercise(found: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """Entries by (assignment, exercise), in the order of the course."""
    groups = defaultdict(list)
    for e in found:
        groups[e.assignment, e.exercise].append(e)
    return dict(groups)


@dataclass(frozen=True)
class Scores:
    """The distribution of one exercise's scores, as shares of its points."""

    counts: tuple[int, ...]  # BINS of them
    median: float | None
    mean: float | None
    without: int  # notebooks that the grader failed at


def scores(group: Sequence[Entry]) -> Scores:
    shares = [e.share for e in group if e.share is not None]
    counts = Counter(min(int(s * (BINS - 1) + 1e-9), BINS - 1) for s in shares)
    middle = (statistics.median(shares), statistics.fmean(shares)) if shares else (None, None)
    return Scores(tuple(counts[i] for i in range(BINS)), *middle, len(group) - len(shares))


@dataclass(frozen=True)
class CheckFigures:
    """How one property fared in the class."""

    assignment: str
    exercise: str
    check: str
    answer: str | None
    states: Counter  # by state

    @property
    def judged(self) -> int:
        return sum(self.states[s] for s in (HELD, PART, FAILED))

    @property
    def failing(self) -> float:
        """Share of the judged answers that lost points on it."""
        return (self.states[FAILED] + self.states[PART]) / self.judged if self.judged else 0.0


def checks(group: Sequence[Entry]) -> list[CheckFigures]:
    """Of one exercise, in the order in which its checks run."""
    states: dict[tuple[str, str | None], Counter] = defaultdict(Counter)
    for e in group:
        for v in e.verdicts:
            states[v.check, v.answer][v.state] += 1
    known = EXERCISES.get((group[0].assignment, group[0].exercise))
    order = {c.name: i for i, c in enumerate(known.checks)} if known else {}
    found = [CheckFigures(group[0].assignment, group[0].exercise, *key, count) for key, count in states.items()]
    return sorted(found, key=lambda f: order.get(f.check, len(order)))


@dataclass(frozen=True)
class Misconception:
    """Students whose answers fail the very same checks, and an example of what they were told."""

    assignment: str
    exercise: str
    answer: str | None
    failed: tuple[str, ...]
    students: tuple[str, ...]
    example: str


def misconceptions(found: Sequence[Entry]) -> list[Misconception]:
    """By answer cell, the largest group first. Answers that did not run, and gates, are not among them."""
    groups: dict[tuple, dict[str, str]] = defaultdict(dict)
    for e in found:
        failed = defaultdict(list)
        for v in e.verdicts:
            if v.state in (FAILED, PART) and v.check != GATE:
                failed[v.answer].append(v)
        for answer, lost in failed.items():
            key = (e.assignment, e.exercise, answer, tuple(v.check for v in lost))
            groups[key][e.student] = lost[0].output
    made = [Misconception(*key, tuple(sorted(who)), next(iter(who.values()))) for key, who in groups.items()]
    return sorted(made, key=lambda m: (-len(m.students), m.exercise, m.failed))


def slowest(found: Sequence[Entry], count: int = 10) -> list[Entry]:
    """The notebooks that took the grader longest."""
    timed = [e for e in found if e.timings.get("total")]
    return sorted(timed, key=lambda e: -e.timings["total"])[:count]
