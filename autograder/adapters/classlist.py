"""Who is in the class: roster.csv beside submitted/, with id, last_name, first_name, email and section.

An id is the name of the student's folder. The file is made from Canvas's gradebook export, from Moodle's grading
worksheet, list of participants or grade export, or by hand.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from autograder.adapters.headings import columns, number, only, plain
from autograder.adapters.roster import some, table
from autograder.adapters.table import csv_text
from autograder.grading.private import write_text
from autograder.intake.student_ids import spelt

FILE = "roster.csv"
# Columns that can name a student's folder, best first, in an export of Canvas, of Moodle and in your own list.
CANVAS_IDS = ("sis login id", "sis user id", "id")
MOODLE_IDS = ("username", "id number", "email address", "full name")
OWN_IDS = ("id", "student", "email", *MOODLE_IDS)
NOT_IN_NAMES = re.compile(r'[/\\,;:"*?\[\]{}|<>\x00-\x1f\x7f]+')
LAST, FIRST = ("last_name", "last name", "surname"), ("first_name", "first name")
USED = ("student", "full name", "identifier", "email address", "email")  # besides what names the folders
EMAIL, SECTION = ("email", "email address"), ("section", "group", "groups")


@dataclass(frozen=True)
class Person:
    """A row of roster.csv; `lms` is the LMS's name for the person in file names, if its export has it."""

    id: str
    last_name: str = ""
    first_name: str = ""
    email: str = ""
    section: str = ""
    lms: str = ""

    @property
    def name(self) -> str:
        """ "Last, First", as in formgrader; "" if unknown."""
        return ", ".join(filter(None, (self.last_name, self.first_name)))


COLUMNS = tuple(f.name for f in fields(Person) if f.name != "lms")


def read(path: Path, key: str | None = None) -> list[Person]:
    """The people in any such file; `key` is the column that names their folders, by default the best one present.

    ValueError, in one sentence, for a file that is not such a list, or that has somebody twice.
    """
    header, lines = table(path, alike=True)
    heads = columns(header, lines)
    canvas, moodle = "sis login id" in heads, "identifier" in heads
    ids = (plain(key),) if key else CANVAS_IDS if canvas else MOODLE_IDS if moodle else OWN_IDS
    column = next((heads[c] for c in ids if c in heads and any(line[heads[c]] for line in lines)), None)
    if column is None and key and plain(key) in heads:
        raise ValueError(f"the column '{heads[plain(key)]}' of {path} is empty; choose another with --key")
    if column is None:
        wanted = f"'{key}'" if key else "of ids, such as 'id', 'SIS Login ID', 'Username' or 'Email address'"
        raise ValueError(f"{path} has no column {wanted}; its columns are {some(header)}")
    only(path, header, [column, *(heads[c] for c in USED if c in heads)])
    people: dict[str, Person] = {}
    for line in lines:
        if "points possible" in line.get("Student", "").lower() or not line[column]:
            continue  # Canvas's second row, and its test student
        person = _person(line, column, heads)
        old = people.get(person.id)
        if old and replace(old, section=person.section) != person:
            raise ValueError(f"{path} has '{person.id}' twice in its column '{column}'; each must be one person")
        if old and old.section != person.section:  # one row for each section
            person = replace(person, section=", ".join(filter(None, (old.section, person.section))))
        people[person.id] = person
    if not people:
        raise ValueError(f"{path} has nobody in its column '{column}'")
    return list(people.values())


def beside(submitted: Path, students: Iterable[str] = ()) -> dict[str, Person]:
    """The class by id, if there is a roster.csv beside the folder of submissions; ids spelt as in `students`."""
    file = submitted.resolve().parent / FILE
    found = read(file, "id") if file.is_file() else []
    names = spelt([p.id for p in found], students)
    return {names[p.id]: replace(p, id=names[p.id]) for p in found}


def save(people: Iterable[Person], submitted: Path) -> Path:
    """Write roster.csv: these people, sorted by name."""
    rows = [[getattr(p, c) for c in COLUMNS] for p in sorted(people, key=lambda p: (p.last_name, p.first_name, p.id))]
    write_text(submitted.parent / FILE, csv_text([COLUMNS, *rows]))
    return submitted.parent / FILE


def safe(name: str) -> str:
    """A name safe for folders and table fields: no separators, not hidden, not a formula."""
    return " ".join(NOT_IN_NAMES.sub(" ", name).split()).lstrip(".=+-@ ").rstrip(". ")


def _person(line: Mapping[str, str], column: str, heads: Mapping[str, str]) -> Person:
    def field(names: Sequence[str]) -> str:
        return next((line[heads[n]] for n in names if n in heads), "")

    last, first = field(LAST), field(FIRST)
    if not last and not first:
        whole = field(("student", "full name"))
        last, _, first = (x.strip() for x in whole.partition(",")) if "," in whole else (whole, "", "")
        if "full name" in heads and not first:  # Moodle: first names come first, and the last word is the last name
            first, _, last = whole.rpartition(" ")
    canvas = "sis login id" in heads
    lms = field(("id",)) if canvas else number(field(("identifier",)))
    return Person(safe(unicodedata.normalize("NFC", line[column])), last, first, field(EMAIL), field(SECTION), lms)
