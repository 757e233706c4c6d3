"""Grades as Canvas and Moodle import them: one row per student, one column per assignment.

Canvas: Student, ID, SIS User ID, SIS Login ID, Section, then the assignments, and a second row "Points Possible". It
finds a student by ID, else by SIS User ID, SIS Login ID or name, and an assignment by "Title (ID)" or its title. An
empty cell deletes an existing grade, so students without a grade have no row. See "How do I import grades in the
Gradebook?" of the Canvas instructor guide, and lib/gradebook_importer.rb in github.com/instructure/canvas-lms.

Moodle: any columns, mapped by hand when importing ("Map from" username, idnumber or email "Map to" the same); one
unknown user stops the whole import, and "-" is no grade. See https://docs.moodle.org/en/Grade_import, and
grade/import/csv/classes/load_data.php in github.com/moodle/moodle.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nbgrader.api import Gradebook

from autograder.adapters.export import awaits_regrade
from autograder.adapters.headings import plain
from autograder.adapters.roster import Roster, some

NO_GRADE = "-"  # in Moodle

# Our name for each identifying column, and its headings in the LMS's own exports.
IDENTITY = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")  # Canvas's first columns
CANVAS = {"SIS Login ID": ("sis login id",), "SIS User ID": ("sis user id",), "ID": ("id",)}
MOODLE = {"username": ("username",), "idnumber": ("id number", "idnumber"), "email": ("email address", "email")}


@dataclass(frozen=True)
class Totals:
    """Final scores, minus late penalties, by student and assignment; None: graded without a score."""

    assignments: dict[str, float]  # maximum points, sorted by name
    scores: dict[str, dict[str, float | None]]
    names: dict[str, str]  # "Last, First" where the gradebook knows it, else the student's id
    to_mark: frozenset[tuple[str, str]]  # (student, assignment) with answers still to be marked
    ungraded: tuple[str, ...] = ()  # notebooks whose grading failed, so there is no score


def totals(gb: Gradebook, assignments: Sequence[str] = ()) -> Totals:
    """Totals of all submissions in the gradebook; assignments: () for all. ValueError for an unknown one."""
    known = {a.name: a for a in gb.assignments}
    if unknown := [a for a in assignments if a not in known]:
        raise ValueError(f"the gradebook has no assignment '{unknown[0]}'; it has {', '.join(sorted(known)) or 'none'}")
    chosen = [known[name] for name in sorted(assignments or known)]
    scores: dict[str, dict[str, float | None]] = {}
    names: dict[str, str] = {}
    to_mark, ungraded = set(), set()
    for assignment in chosen:
        for s in assignment.submissions:
            ungraded.update(missing := awaits_regrade(s))
            final = None if missing else round(max(0.0, s.score - (s.late_submission_penalty or 0.0)), 4)
            scores.setdefault(s.student.id, {})[assignment.name] = final
            both = s.student.last_name, s.student.first_name
            names[s.student.id] = ", ".join(filter(None, both)) or s.student.id
            if final is not None and s.needs_manual_grade:
                to_mark.add((s.student.id, assignment.name))
    most = {a.name: a.max_score for a in chosen}
    return Totals(most, dict(sorted(scores.items())), names, frozenset(to_mark), tuple(sorted(ungraded)))


def canvas(t: Totals, roster: Roster | None) -> list[list[object]]:
    """The table, header first. Without a roster, folder names are taken as SIS Login IDs."""
    columns = [_heading(name, roster.columns if roster else ()) for name in t.assignments]
    table: list[list[object]] = [
        [*IDENTITY, *columns],
        ["    Points Possible", "", "", "", "", *t.assignments.values()],
    ]
    for student, scores in t.scores.items():
        if all(score is None for score in scores.values()):
            continue
        person = {"Student": t.names.get(student, student), "SIS Login ID": student}
        if roster and not (person := roster.people.get(student)):
            continue
        heads = {plain(c): c for c in person}
        identity = [person.get(heads.get(c.lower(), c), "") for c in IDENTITY]
        table.append([*identity, *_points(scores, t, "")])
    return table


def moodle(t: Totals, roster: Roster | None) -> list[list[object]]:
    """The table, header first. Without a roster, folder names are taken as usernames."""
    known = {c: c for c in MOODLE} | dict(roster.identity if roster else {})
    table: list[list[object]] = [[*known, *t.assignments]]
    for student, scores in t.scores.items():
        person = {"username": student}
        if roster:
            if not (line := roster.people.get(student)):
                continue
            person = {ours: line.get(c, "") for ours, c in known.items()}
        table.append([*(person.get(c, "") for c in known), *_points(scores, t, NO_GRADE)])
    return table


def _heading(assignment: str, columns: Sequence[str]) -> str:
    """Canvas's own name of the assignment, "Title (12345)", if its export has one with this title."""
    pattern = re.compile(rf"{re.escape(assignment)}( \(\d+\))?")
    found = [c for c in columns if pattern.fullmatch(c)]
    if len(found) > 1:
        raise ValueError(f"the roster has the columns {some(found)}; keep only the one for {assignment}")
    return found[0] if found else assignment


def _points(scores: dict[str, float | None], t: Totals, none: str) -> list[float | str]:
    return [none if (score := scores.get(a)) is None else score for a in t.assignments]
