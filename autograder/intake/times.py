"""Finds when each submission came in, in UTC, from sources that no student can write. Unknown times are left out.

A timestamp.txt in a student's own folder is only the student's word and is never read. What counts is times.csv and,
for submissions that it does not list, the inbound folder of nbgrader's exchange.
"""

import contextlib
import csv
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from autograder.intake.extract import Unreadable, read_bytes, read_slim
from autograder.intake.moments import EXAMPLE, moment
from autograder.intake.student_ids import spelt
from autograder.intake.submissions import Submission
from autograder.intake.texts import rows

COLUMNS = ("student", "assignment", "submitted_at", "attempt")  # of times.csv, in any order
FILE = "times.csv"  # beside the folder of submissions, where no student's folder can be
MOVED_S = 3600.0  # a folder that was changed this long after the time in its name does not prove that time

Times = dict[tuple[str, str], datetime]  # by student and assignment


def of(submissions: Iterable[Submission], submitted: Path, given: Path | None, inbound: Path | None = None) -> Times:
    """Return the known times; ValueError, in one sentence, for a table of times that cannot be read."""
    file = given or submitted.resolve().parent / FILE
    told = read(file) if given or os.path.lexists(file) else {}
    names = spelt({student for student, _ in told}, {s.student for s in submissions})
    return exchanged(submissions, inbound) | {(names[student], a): when for (student, a), when in told.items()}


def read(path: Path) -> Times:
    """Read a table of times. Of a submission's rows, the one with the highest attempt counts, then the latest."""
    try:
        header, *lines = rows(read_bytes(path), strict=True) or [[]]
    except (Unreadable, ValueError):
        remedy = f"write CSV in UTF-8 with the columns {', '.join(COLUMNS)}"
        raise ValueError(f"the times {path} cannot be read; {remedy}") from None
    except csv.Error as e:
        raise ValueError(f"the times {path} cannot be used: {e}") from None
    header = [c.strip() for c in header]
    found: dict[tuple[str, str], tuple[int, datetime]] = {}
    try:
        if missing := [c for c in COLUMNS[:3] if c not in header]:
            raise ValueError(f"there is no column '{missing[0]}' among {', '.join(COLUMNS)}")
        for number, line in enumerate(lines, 2):
            row = dict(zip(header, [*(cell.strip() for cell in line), *[""] * len(header)]))
            key, came = (row["student"], row["assignment"]), _came(row, number)
            found[key] = max(came, found.get(key, came))
    except ValueError as e:
        raise ValueError(f"the times {path} cannot be used: {e}") from None
    return {key: when for key, (_, when) in found.items()}


def _came(row: dict[str, str], line: int) -> tuple[int, datetime]:
    text, attempt = row["submitted_at"], row.get("attempt", "")
    try:
        when = moment(text)
    except ValueError as e:
        raise ValueError(f"line {line}: {e}; write it as {EXAMPLE}") from None
    if attempt and not re.fullmatch(r"[0-9]{1,6}", attempt):
        raise ValueError(f"line {line}: attempt '{attempt}' is not a whole number")
    return int(attempt or 0), when.astimezone(UTC)


def exchanged(submissions: Iterable[Submission], inbound: Path | None) -> Times:
    """Return the times in the names of nbgrader's inbound folders, STUDENT+ASSIGNMENT+TIME+…, that can be trusted.

    Anyone can put a folder there, under any name. It is a student's only if the student's account owns it, and its time
    only counts if the folder has not been changed since. If one of a student's folders fails this, no time is known. Of
    several, the first that holds what is graded counts, or else the last.
    """
    found: dict[tuple[str, str], list[tuple[datetime | None, Path]]] = {}
    for folder in _folders(inbound):
        student, assignment, *rest = folder.name.split("+", 2) if folder.name.count("+") > 1 else ("", "")
        if rest and _owner(folder) == student:
            found.setdefault((student, assignment), []).append((_believed(folder, rest[0]), folder))
    times: Times = {}
    for s in submissions:
        own = found.get((s.student, s.assignment), [])
        if own and all(when for when, _ in own):
            own.sort(key=lambda pair: pair[0])
            graded = s.files
            same = (w for w, f in own if all(_same(graded[n], p) for n, p in replace(s, folder=f).files.items()))
            times[s.student, s.assignment] = next(same, own[-1][0])
    return times


def _folders(inbound: Path | None) -> Iterator[Path]:
    with contextlib.suppress(OSError):  # there is no exchange, or it cannot be read
        yield from (p for p in sorted(inbound.iterdir()) if p.is_dir() and not p.is_symlink()) if inbound else ()


def _owner(folder: Path) -> str | None:
    try:
        import pwd

        return pwd.getpwuid(folder.lstat().st_uid).pw_name
    except (ImportError, OSError, KeyError):
        return None


def _believed(folder: Path, rest: str) -> datetime | None:
    """Return the time in the name, `2027-01-31 23:59:00.000000 UTC[+…]`; None if the folder was changed later."""
    try:
        name = rest.partition(" UTC")
        when = datetime.fromisoformat(name[0]).replace(tzinfo=UTC) if name[1] else None
        changed = max(entry.lstat().st_ctime for entry in (folder, *folder.iterdir()))
    except (ValueError, OSError):
        return None
    return when if when and abs(changed - when.timestamp()) <= MOVED_S else None


def _same(graded: Path, sent: Path) -> bool:
    try:
        return read_slim(graded) == read_slim(sent)
    except Unreadable:
        return not os.path.lexists(graded) and not os.path.lexists(sent)
