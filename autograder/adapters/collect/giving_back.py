"""The zip of feedback pages that an LMS hands out: each page under the name by which the LMS knows whose it is.

Whose is whose stands in collected.csv, which `collect` wrote: a student of whom the LMS told nothing gets no page.
"""

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import capture_log

from autograder.adapters.collect import tables
from autograder.adapters.collect.layouts import wanted_back
from autograder.exercises import of_assignment
from autograder.grading import private
from autograder.intake.extract import Unreadable, read_bytes
from autograder.release.generate import load_config

Row = dict[str, str]


@dataclass
class Given:
    """What is in the zip, and what is not."""

    students: set[str] = field(default_factory=set)
    pages: int = 0
    problems: list[str] = field(default_factory=list)


def generate(out: Path, assignment: str) -> list[str]:
    """`nbgrader generate_feedback` for all of an assignment; returns who has no page, and why, if that is known."""
    config = load_config(out)
    config.BaseConverter.force = True
    dirs = CourseDirectory(config=config, assignment_id=assignment)
    found = capture_log(GenerateFeedback(coursedir=dirs, config=config))
    if found["success"]:
        return []
    errors = [line for line in found.get("log", "").splitlines() if "failed" in line.lower()]
    return [f"nbgrader generate_feedback: {line.strip()}" for line in errors] or ["nbgrader made no page"]


def give_back(out: Path, submitted: Path, form: str, assignment: str, records: Sequence[dict], to: Path) -> Given:
    """Write the zip from OUT/feedback. ValueError where nothing of the assignment came from that LMS, or is graded."""
    every = tables.load(submitted.parent, tables.COLLECTED, tables.COLUMNS[:3]).values()
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in every:
        if row["assignment"] == assignment and row["format"] == form:
            rows[row["student"]].append(row)
    pages = sorted((out / "feedback").glob(f"*/{assignment}/*.html"))
    graded = {p.parent.parent.name for p in pages}
    if form == "zip" and not rows:  # not from an archive: the folders' names are all there is
        rows = {student: [{"student": student, "entry": "", "notebook": ""}] for student in graded}
    if not rows:
        where = submitted.parent / tables.COLLECTED
        raise ValueError(f"{where} has nothing of {assignment} from {form}; `autograder collect` writes it")
    if not pages:
        raise ValueError(f"{out / 'feedback'} has no page of {assignment}; `autograder grade` comes first")
    pending = _pending(records, assignment)
    given, names = Given(), set()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for student, own in sorted(rows.items()):
            for notebook, entry in _pages(own, form, assignment):
                page = out / "feedback" / student / assignment / f"{notebook}.html"
                if (student, notebook) in pending:
                    given.problems.append(f"{student}: {notebook} has no result yet, so its page is left out")
                    continue
                try:
                    content = read_bytes(page)
                except Unreadable:
                    given.problems.append(f"{student}: there is no page of {notebook}; grade it first")
                    continue
                name = wanted_back(form, entry, student, assignment, page.name)
                if name in names:
                    raise ValueError(f"two pages would be named {name}; look at {submitted.parent / tables.COLLECTED}")
                names.add(name)
                file.writestr(name, content)
                given.students.add(student)
                given.pages += 1
    private.write_bytes(to, made.getvalue())
    left = sorted(graded - rows.keys())
    given.problems += [f"{student}: no file of theirs is from {form}, so no page was put in" for student in left]
    return given


def _pages(rows: Sequence[Row], form: str, assignment: str) -> Iterator[tuple[str, str]]:
    """(notebook, the entry by which the LMS knows whose it is): Canvas takes back what it gave, others any file."""
    if form == "canvas":
        yield from ((row["notebook"], row["entry"]) for row in rows)
    else:
        yield from ((e.name, rows[0]["entry"]) for e in of_assignment(assignment))


def _pending(records: Sequence[dict], assignment: str) -> set[tuple[str, str]]:
    """(student, notebook) where the grader itself failed: nothing to hand out yet."""
    extras = (r["extra_data"] for r in records if r["extra_data"]["assignment"] == assignment)
    outcomes = ((e["student"], name, n["outcome"]) for e in extras for name, n in e["notebooks"].items())
    return {(student, name) for student, name, outcome in outcomes if outcome == "infrastructure_error"}
