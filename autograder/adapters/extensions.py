"""More time for individual students: extensions.csv beside submitted/, with student, assignment, and extra or due.

`extra` is how much ("2 days", "36 h", "1 week 12 hours"), `due` until when (2027-02-02T23:59+01:00). They become
nbgrader's own extensions, which formgrader shows and every late policy uses; "0 days" cancels one.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from autograder.adapters.roster import table
from autograder.intake.moments import moment
from autograder.intake.problems import Problem
from autograder.intake.student_ids import spelt

FILE = "extensions.csv"
UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes"}
ONE = re.compile(
    r"\s*([0-9]{1,5}(?:\.[0-9]{1,5})?)(?![0-9.])\s*(weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m)?\s*,?", re.I
)

Given = dict[tuple[str, str], timedelta | datetime]  # by student and assignment: how much, or until when in UTC


def read(path: Path) -> tuple[Given, list[Problem]]:
    """The valid rows, and a problem for each other row; ValueError if it is not such a table."""
    header, lines = table(path)
    if not {"student", "assignment"} <= set(header) or not {"extra", "due"} & set(header):
        raise ValueError(f"{path} needs the columns student, assignment, and extra or due")
    found: Given = {}
    problems: list[Problem] = []
    for line in lines:
        extra, due = line.get("extra", ""), line.get("due", "")
        value = _span(extra) if extra else _until(due)
        if value is None or (extra and due):
            why = f"the extension '{extra or due}' is not understood; write 2 days, or 2027-02-02T23:59+01:00"
            problems.append(Problem(line["student"], line["assignment"], f"{FILE}: {why}"))
        else:
            found[line["student"], line["assignment"]] = value
    return found, problems


def beside(submitted: Path, students: Iterable[str] = ()) -> tuple[Given, list[Problem]]:
    """Extensions from the file beside the folder of submissions, for `students`; none if there is no file."""
    file = submitted.resolve().parent / FILE
    found, problems = read(file) if file.is_file() else ({}, [])
    names = spelt({student for student, _ in found}, students)
    return {(names[student], a): more for (student, a), more in found.items()}, problems


def length(value: timedelta | datetime, due: datetime) -> timedelta:
    """How much time after `due` (in UTC, as nbgrader stores it); never negative."""
    return value if isinstance(value, timedelta) else max(timedelta(0), value.replace(tzinfo=None) - due)


def _span(text: str) -> timedelta | None:
    parts = list(_parts(text))
    return sum(parts, timedelta(0)) if parts and None not in parts else None


def _parts(text: str) -> Iterator[timedelta | None]:
    at = 0
    while at < len(text.rstrip()):
        if not (m := ONE.match(text, at)):
            yield None
            return
        yield timedelta(**{UNITS[(m[2] or "d")[0].lower()]: float(m[1])})
        at = m.end()


def _until(text: str) -> datetime | None:
    try:
        return moment(text).astimezone(UTC)  # a time without a zone is ambiguous
    except ValueError:
        return None
