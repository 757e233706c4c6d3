"""The results of a class as plain numbers; no HTML here.

Checks that never ran are counted separately, as are failures of the grader itself.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from autograder.adapters.report.entries import FAILED, HELD, PART, Entry, known_checks, position
from autograder.grading.results import GATE

BINS = 11  # of a histogram of scores: tenths, and full marks separately


def by_exercise(found: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """Entries by (assignment, exercise), in the order of the course."""
    groups = defaultdict(list)
    for e in found:
        groups[e.assignment, e.exercise].append(e)
    return dict(groups)


def by_student(found: Sequence[Entry]) -> dict[str, dict[tuple[str, str], Entry]]:
    """Entries by student, in alphabetical order, and by (assignment, exercise)."""
    groups: dict[str, dict[tuple[str, str], Entry]] = {}
    for e in sorted(found, key=lambda e: e.student):
        groups.setdefault(e.student, {})[e.assignment, e.exercise] = e
    return groups


@dataclass(frozen=True)
class Scores:
    """The distribution of scores, as shares of the points."""

    counts: tuple[int, ...]  # BINS of them
    median: float | None
    mean: float | None
    full: float | None  # share with full marks
    without: int  # notebooks the grader failed on


def scores(group: Sequence[Entry]) -> Scores:
    shares = [e.share for e in group if e.share is not None]
    counts = Counter(min(int(s * (BINS - 1) + 1e-9), BINS - 1) for s in shares)
    full = statistics.fmean(s >= 1 for s in shares) if shares else None
    middle = (statistics.median(shares), statistics.fmean(shares)) if shares else (None, None)
    return Scores(tuple(counts[i] for i in range(BINS)), *middle, full, len(group) - len(shares))


@dataclass(frozen=True)
class CheckCounts:
    """How a class did on one check."""

    exercise: str
    check: str
    answer: str | None
    lesson: str  # where the lesson explains the property, or ""
    states: Counter  # by state

    @property
    def judged(self) -> int:
        return self.losing + self.states[HELD]

    @property
    def losing(self) -> int:
        """Answers that lost points on it."""
        return self.states[PART] + self.states[FAILED]

    @property
    def failing(self) -> float:
        """Their share of the judged answers."""
        return self.losing / self.judged if self.judged else 0.0


def checks(group: Sequence[Entry]) -> list[CheckCounts]:
    """The checks of one exercise, in the order they run."""
    states: dict[tuple[str, str | None], Counter] = defaultdict(Counter)
    for c in (c for e in group for c in e.checks):
        states[c.check, c.answer][c.state] += 1
    exercise, known = group[0].exercise, known_checks(group[0].assignment, group[0].exercise)
    lessons = {name: check.lesson for name, check in known.items()}
    found = [CheckCounts(exercise, name, answer, lessons.get(name, ""), n) for (name, answer), n in states.items()]
    return sorted(found, key=lambda c: position([*known], c.check))


@dataclass(frozen=True)
class Misconception:
    """Students whose answers fail exactly the same checks, and an example of their messages."""

    exercise: str
    answer: str | None
    failed: tuple[str, ...]
    students: tuple[str, ...]
    example: str

    @property
    def where(self) -> str:
        return self.answer or self.exercise

    @property
    def properties(self) -> list[str]:
        """The checks' names, without the answer cell's name."""
        return [c.removeprefix(f"{self.answer}: ") if self.answer else c for c in self.failed]


def misconceptions(found: Sequence[Entry]) -> list[Misconception]:
    """By answer cell, largest group first; without gates, and without answers that did not run."""
    groups: dict[tuple, dict[str, str]] = defaultdict(dict)
    for e in found:
        failed = defaultdict(list)
        for c in e.ended(FAILED, PART):
            if c.check != GATE:
                failed[c.answer].append(c)
        for answer, lost in failed.items():
            key = (e.assignment, e.exercise, answer, tuple(c.check for c in lost))
            groups[key][e.student] = lost[0].output
    made = [Misconception(*key[1:], tuple(sorted(who)), next(iter(who.values()))) for key, who in groups.items()]
    return sorted(made, key=lambda m: (-len(m.students), m.exercise, m.failed))
