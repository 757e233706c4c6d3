"""Who is who in Canvas or Moodle: their own export of the class, matched with the names of submitted folders.

Canvas: the gradebook's CSV export. Moodle: the grade export, or a list of participants with `username`, `ID number` or
`Email address`.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.adapters.table import harmless


@dataclass(frozen=True)
class Roster:
    """People by the name that their submitted folder has; each person is a row of the file, by column."""

    people: dict[str, dict[str, str]]
    columns: tuple[str, ...]
    absent: tuple[str, ...]  # graded students that the file does not have


def read(path: Path, keys: Mapping[str, Sequence[str]], students: Iterable[str], key: str | None = None) -> Roster:
    """The people among `students`; the column that names them is `key`, else the one of `keys` that fits most of them.

    keys: our name of each identifying column, and how it may be headed in the file (lower case). ValueError, in one
    sentence, for a file that is not such a table, lacks the column, matches nobody, or has somebody twice.
    """
    header, lines = table(path)
    found = {ours: c for ours, names in keys.items() for c in header if c.strip().lower() in names}
    if key is not None:
        if key not in header:
            raise ValueError(f"{path} has no column '{key}'; its columns are {some(header)}")
        found = {key: key}
    if not found:
        known = ", ".join(names[0] for names in keys.values())
        raise ValueError(f"{path} names nobody: it needs a column {known}, and has {some(header)}")
    wanted = set(students)
    column = max(found.values(), key=lambda c: len(wanted & {line[c] for line in lines}))  # of equals the first
    people: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, 2):
        name = line[column]
        if name in people:
            raise ValueError(f"{path} has '{name}' twice in its column '{column}' (line {number}); each is one person")
        if name in wanted:
            people[name] = line
    if wanted and not people:
        remedy = "name the column that holds their folders' names with --key"
        raise ValueError(f"none of the {len(wanted)} graded students is in the column '{column}' of {path}; {remedy}")
    return Roster(people, tuple(header), tuple(sorted(wanted - people.keys())))


def table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows, each of the header's length; from a file with commas, semicolons or tabs."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from None
    first = text.partition("\n")[0]
    file, delimiter = io.StringIO(text, newline=""), max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
    except csv.Error as error:
        raise ValueError(f"{path} is not CSV: {error}") from None
    if not rows:
        raise ValueError(f"{path} is empty; its first line must name the columns")
    header = [c.strip() for c in rows[0]]
    if twice := next((c for c in header if c and header.count(c) > 1), None):
        raise ValueError(f"{path} has two columns '{twice}'; keep one")
    lines = [dict(zip(header, [*map(_plain, row), *[""] * len(header)])) for row in rows[1:]]
    return header, lines


def _plain(cell: str) -> str:
    """A cell's text, without the quote by which `csv_text` keeps a spreadsheet from running it."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and harmless(cell[1:]) == cell else cell


def some(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(f"'{n}'" for n in names[:most]) + (" and others" if len(names) > most else "")
