"""Who asked for a regrade: regrades.csv beside submitted/, with student, assignment, reason and answer.

A request is open until someone writes an answer.
"""

from pathlib import Path

from autograder.adapters.roster import table
from autograder.intake.problems import Problem

FILE = "regrades.csv"


def beside(submitted: Path) -> tuple[Problem, ...]:
    """The open requests in the file beside the folder of submissions; ValueError if it is not such a table."""
    file = submitted.resolve().parent / FILE
    if not file.is_file():
        return ()
    header, lines = table(file)
    if lacking := [c for c in ("student", "assignment", "reason") if c not in header]:
        raise ValueError(f"{file} has no column '{lacking[0]}'; it needs student, assignment, reason and answer")
    return tuple(Problem(x["student"], x["assignment"], x["reason"]) for x in lines if not x.get("answer"))
