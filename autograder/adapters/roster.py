"""Who is who in Canvas or Moodle: their own class export, matched with the names of submitted folders.

Canvas: the gradebook's CSV export. Moodle: the grade export, or a list of participants with `username`, `ID number` or
`Email address`.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograder.adapters.headings import columns, only, plain
from autograder.adapters.table import harmless
from autograder.intake.student_ids import spelt
from autograder.intake.texts import rows


@dataclass(frozen=True)
class Roster:
    """People by the name of their submitted folder; each person is a row of the file, by column."""

    people: dict[str, dict[str, str]]
    columns: tuple[str, ...]
    absent: tuple[str, ...]  # graded students missing from the file
    identity: Mapping[str, str] = field(default_factory=dict)  # the file's name for each identifying column it has


def read(path: Path, keys: Mapping[str, Sequence[str]], students: Iterable[str], key: str | None = None) -> Roster:
    """The people among `students`; the column that names them is `key`, else the one of `keys` that matches the most.

    keys: our name for each identifying column, and its possible headings in the file (lower case; `headings` has other
    languages). ValueError, in one sentence, for a file that is not such a table, lacks the column or has it empty,
    matches nobody, or has somebody twice.
    """
    header, lines = table(path, alike=True)
    heads = columns(header, lines)
    found = {ours: heads[name] for ours, names in keys.items() for name in reversed(names) if name in heads}
    named = heads.get(plain(key)) if key else None
    if key and not named:
        raise ValueError(f"{path} has no column '{key}'; its columns are {some(header)}")
    if not found and not named:
        known = ", ".join(names[0] for names in keys.values())
        raise ValueError(f"{path} identifies nobody: it needs a column {known}, but has {some(header)}")
    wanted = set(students)
    known = {c: spelt({line[c] for line in lines}, wanted) for c in ([named] if named else found.values())}
    column = max(known, key=lambda c: len(wanted & set(known[c].values())))  # the first of equals
    only(path, header, [column, *found.values()])
    if named and not any(line[named] for line in lines):
        raise ValueError(f"the column '{named}' of {path} is empty; choose another of {some(header)} with --key")
    people: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, 2):
        name = known[column][line[column]]
        if name in people and any(line[c] != people[name][c] for c in found.values()):
            raise ValueError(
                f"{path} has '{name}' twice in its column '{column}' (line {number}); each must be one person"
            )
        if name in wanted:
            people.setdefault(name, line)
    if wanted and not people:
        remedy = "choose the column with their folder names with --key"
        raise ValueError(f"none of the {len(wanted)} graded students is in the column '{column}' of {path}; {remedy}")
    if column not in found.values():
        found = {**found, column: column}
    return Roster(people, tuple(header), tuple(sorted(wanted - people.keys())), found)


def table(path: Path, alike: bool = False) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows, each of the header's length, from a file with commas, semicolons or tabs.

    No two columns may have the same name, unless `alike`: then the caller checks those it uses with `headings.only`.
    """
    try:
        found = rows(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    except csv.Error as error:
        raise ValueError(f"{path} is not CSV: {error}") from None
    if not found:
        raise ValueError(f"{path} is empty; its first line must name the columns")
    header = [c.strip() for c in found[0]]
    if not alike:
        only(path, header, [c for c in header if c])
    lines = [dict(reversed([*zip(header, [*map(_plain, row), *[""] * len(header)])])) for row in found[1:]]
    return header, lines


def _plain(cell: str) -> str:
    """A cell's text, without the quote that `csv_text` adds to stop a spreadsheet from running it."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and harmless(cell[1:]) == cell else cell


def some(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(f"'{n}'" for n in names[:most]) + (" and others" if len(names) > most else "")
