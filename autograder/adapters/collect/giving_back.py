"""The zip of feedback pages for an LMS to hand out: each page has the name by which the LMS recognises its student.
nbgrader's exchange takes pages without a zip.

collected.csv, written by `collect`, says which page is whose. A student unknown to the LMS gets no page.
"""

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import capture_log

from autograder.adapters.collect import exchange, tables
from autograder.adapters.collect.layouts import wanted_back
from autograder.adapters.collect.pages import Given, Page
from autograder.exercises import of_assignment
from autograder.grading import private
from autograder.intake.extract import Unreadable, read_bytes
from autograder.release.generate import load_config

Row = dict[str, str]


def generate(out: Path, assignment: str) -> list[str]:
    """`nbgrader generate_feedback` for an assignment; returns who has no page, and why, if known."""
    config = load_config(out)
    config.BaseConverter.force = True
    dirs = CourseDirectory(config=config, assignment_id=assignment)
    found = capture_log(GenerateFeedback(coursedir=dirs, config=config))
    if found["success"]:
        return []
    errors = [line for line in found.get("log", "").splitlines() if "failed" in line.lower()]
    return [f"nbgrader generate_feedback: {line.strip()}" for line in errors] or ["nbgrader made no page"]


def give_back(out: Path, submitted: Path, form: str, assignment: str, records: Sequence[dict], to: Path) -> Given:
    """OUT/feedback into the zip or the exchange. ValueError if nothing came from there, or nothing is graded."""
    every = tables.load(submitted.parent, tables.COLLECTED, tables.COLUMNS[:3]).values()
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in every:
        if row["assignment"] == assignment and row["format"] == form:
            rows[row["student"]].append(row)
    graded = {p.parent.parent.name for p in (out / "feedback").glob(f"*/{assignment}/*.html")}
    if form == "zip" and not rows:  # not from an archive: only the folder names are known
        rows = {student: [{"student": student, "entry": "", "notebook": ""}] for student in graded}
    if not rows:
        where = submitted.parent / tables.COLLECTED
        raise ValueError(f"{where} has nothing for {assignment} from {form}; run `autograder collect` first")
    if not graded:
        raise ValueError(f"{out / 'feedback'} has no page for {assignment}; run `autograder grade` first")
    given = Given()
    pages = _read(out / "feedback", rows, form, assignment, _pending(records, assignment), given)
    if form == "nbgrader":
        exchange.put(pages, to, given)
    else:
        _zip(pages, form, assignment, submitted, to, given)
    left = sorted(graded - rows.keys())
    given.problems += [
        f"{student}: none of their files came from {form}, so there is no page for them" for student in left
    ]
    return given


def _read(
    feedback: Path, rows: dict[str, list[Row]], form: str, assignment: str, pending: set[tuple[str, str]], given: Given
) -> Iterator[Page]:
    """The existing pages; students without one, and why, go to `given`."""
    for student, own in sorted(rows.items()):
        for notebook, entry in _pages(own, form, assignment):
            if (student, notebook) in pending:
                given.problems.append(f"{student}: {notebook} has no result yet, so its page is left out")
                continue
            try:
                content = read_bytes(feedback / student / assignment / f"{notebook}.html")
            except Unreadable:
                given.problems.append(f"{student}: there is no page for {notebook}; grade it first")
                continue
            yield Page(student, notebook, entry, content)


def _zip(pages: Iterator[Page], form: str, assignment: str, submitted: Path, to: Path, given: Given) -> None:
    names, made = set(), io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for page in pages:
            name = wanted_back(form, page.entry, page.student, assignment, f"{page.notebook}.html")
            if name in names:
                raise ValueError(f"two pages would be named {name}; check {submitted.parent / tables.COLLECTED}")
            names.add(name)
            file.writestr(name, page.content)
            given.count(page)
    private.write_bytes(to, made.getvalue())


def _pages(rows: Sequence[Row], form: str, assignment: str) -> Iterator[tuple[str, str]]:
    """(notebook, the entry by which the LMS recognises the student): Canvas and nbgrader need their own, others any."""
    if form in ("canvas", "nbgrader"):
        yield from ((row["notebook"], row["entry"]) for row in rows)
    else:
        yield from ((e.name, rows[0]["entry"]) for e in of_assignment(assignment))


def _pending(records: Sequence[dict], assignment: str) -> set[tuple[str, str]]:
    """(student, notebook) if the grader itself failed: nothing to hand out yet."""
    extras = (r["extra_data"] for r in records if r["extra_data"]["assignment"] == assignment)
    outcomes = ((e["student"], name, n["outcome"]) for e in extras for name, n in e["notebooks"].items())
    return {(student, name) for student, name, outcome in outcomes if outcome == "infrastructure_error"}
