"""Who needs the instructor: the first section of the page, most urgent first."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autograder.adapters.report.entries import Entry
from autograder.adapters.report.notes import Notes
from autograder.intake.problems import Problem

OURS = "infrastructure_error"
Absent = dict[str, list[str]]  # who handed in nothing, by assignment
AGAIN = "--regrade --student NAME grades a student again; an answer in regrades.csv closes the request."
NO_RESULT = (OURS, "timeout", "crash", "invalid_output")


@dataclass(frozen=True)
class Need:
    """One reason to act: what it is, what to do, and whom it concerns, as a table."""

    title: str
    remedy: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    people: int  # or notebooks, or folders: what the title counts
    urgent: bool = False


def needs(found: Sequence[Entry], problems: Sequence[Problem], notes: Notes, absent: Absent) -> list[Need]:
    """All that apply."""
    who = notes.who
    failed = sorted(
        (e for e in found if e.outcome in NO_RESULT), key=lambda e: (NO_RESULT.index(e.outcome), e.exercise)
    )
    no_result = [(who(e.student), e.exercise, e.outcome.replace("_", " "), e.reason) for e in failed]
    ours = "Infrastructure errors have no score: run the same command to grade them again. "
    help_ = (ours if OURS in {e.outcome for e in failed} else "") + "--regrade --student NAME grades a student again."
    odd, remarks, asked = (
        [(who(p.student), p.where, p.text) for p in some] for some in (problems, notes.flags, notes.asked)
    )
    late = [(who(x.student), x.assignment, x.text) for x in sorted(notes.late, key=lambda x: -x.seconds)]
    to_mark, flagged = ([(f"{a}: {n}", who(s)) for s, a, n in some] for some in (notes.to_mark, notes.flagged))
    nothing = [(assignment, who(s)) for assignment, students in absent.items() for s in students]
    unanswered = [(e.exercise, who(e.student)) for e in found if e.outcome == "missing"]
    look = "Look at these answers before the grades go out."
    made = [
        Need("without a result", help_, ("student", "notebook", "outcome", "why"), no_result, len(no_result), True),
        Need(
            "to look into",
            "Skipped folders, names, times.",
            ("student", "where", "what"),
            odd,
            len(odd),
            True,
        ),
        Need("flagged by the grader", look, ("student", "notebook", "remark"), remarks, len(remarks), True),
        Need("asked for a regrade", AGAIN, ("student", "assignment", "reason"), asked, len(asked), True),
        _listed("to be marked by hand", "In formgrader: no mark yet, or changed since it was marked.", to_mark),
        _listed("flagged in formgrader", "A marker wants someone to look at these again.", flagged),
        Need("late", "Extensions are taken into account.", ("student", "assignment", "how late"), late, len(late)),
        _listed("handed in nothing", "They are in roster.csv but have no folder.", nothing),
        _listed(
            "without an answer", "They handed in something, but the notebook is missing or still the stub.", unanswered
        ),
    ]
    return [need for need in made if need.rows]


def _listed(title: str, remedy: str, pairs: Iterable[tuple[str, str]]) -> Need:
    """One row per thing, with everyone it concerns."""
    by: dict[str, list[str]] = defaultdict(list)
    for what, student in pairs:
        by[what].append(student)
    rows = [(what, str(len(names)), "; ".join(sorted(names))) for what, names in by.items()]
    return Need(title, remedy, ("what", "how many", "who"), rows, sum(map(len, by.values())))
