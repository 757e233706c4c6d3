"""The tables beside submitted/: times.csv (who handed in when) and collected.csv (each file's origin in the LMS)."""

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from dateutil import tz

from autograder.adapters import headings
from autograder.adapters.roster import table
from autograder.adapters.table import csv_text
from autograder.grading.private import write_text
from autograder.intake import moments
from autograder.intake.student_ids import compared

TIMES, COLLECTED = "times.csv", "collected.csv"
TIME_COLUMNS = ("student", "assignment", "submitted_at", "attempt")
COLUMNS = ("assignment", "student", "notebook", "format", "entry", "user", "name", "order", "late")
LONG_AGO = datetime(1980, 1, 2)  # what an archive without times says

Rows = dict[tuple[str, ...], dict[str, str]]


def load(folder: Path, name: str, key: tuple[str, ...]) -> Rows:
    """A table's rows by their key; none if it does not exist yet."""
    if not (folder / name).is_file():
        return {}
    header, lines = table(folder / name)
    if lacking := [c for c in key if c not in header]:
        raise ValueError(f"{folder / name} has no column '{lacking[0]}'; restore it, or move it away")
    return {tuple(line[c] for c in key): line for line in lines}


def save(folder: Path, name: str, columns: tuple[str, ...], rows: Iterable[dict[str, str]]) -> None:
    """Replace the table, with sorted rows."""
    lines = sorted([row.get(c, "") for c in columns] for row in rows)
    write_text(folder / name, csv_text([columns, *lines]))


def moment(text: str, zone: tzinfo | None) -> str | None:
    """A time as an LMS or a person writes it, in ISO 8601 with its zone; None for "-".

    zone: for times without one; None for this machine's own. ValueError if it is not a time, or ambiguous.
    """
    return stamp(moments.moment(text, zone or tz.tzlocal()), zone) if any(map(str.isalnum, text)) else None


def stamp(time: datetime, zone: tzinfo | None) -> str | None:
    """In ISO 8601 with a zone."""
    if time.tzinfo is None and time - LONG_AGO < timedelta(0):
        return None
    aware = time if time.tzinfo else time.replace(tzinfo=zone) if zone else time.astimezone()
    return aware.isoformat(timespec="seconds")


def worksheet(path: Path, zone: tzinfo | None) -> dict[str, tuple[str | None, bool]]:
    """From a Moodle grading worksheet: when each participant handed in, and whether Moodle calls it late, by number."""
    header, lines = table(path, alike=True)
    heads, when = headings.columns(header, lines), headings.when(header)
    if "identifier" not in heads or when is None:
        return {}
    found = {}
    for line in lines:
        late = any(word in f" {line.get('Status', '').lower()}" for word in (" late", "zu spät"))
        try:
            time = moment(line[when], zone)
        except ValueError as e:
            remedy = "download it with Moodle set to English"
            raise ValueError(f"{path}: {e}, in '{when}' of {line[heads['identifier']]}; {remedy}") from None
        found[headings.number(line[heads["identifier"]])] = time, late
    return found


def given(path: Path, zone: tzinfo | None) -> dict[str, str]:
    """Times from your own table, with the columns `student` and `submitted_at`."""
    header, lines = table(path)
    if not {"student", "submitted_at"} <= set(header):
        raise ValueError(f"{path} needs the columns student and submitted_at; it has {', '.join(header)}")
    found = {}
    for line in lines:
        try:
            time = moment(line["submitted_at"], zone)
        except ValueError as e:
            raise ValueError(f"{path}: {e} (of {line['student']}); write it as {moments.EXAMPLE}") from None
        if time is None:
            raise ValueError(f"{path}: there is no time for {line['student']}; write it as {moments.EXAMPLE}")
        found[compared(line["student"])] = time
    return found
