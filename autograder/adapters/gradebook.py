"""Our records into nbgrader's gradebook, so that formgrader, `nbgrader export` and its feedback show them.

nbgrader itself runs the student's notebook and reads the scores from its outputs. Here the scores are given, and the
rest is as in nbgrader: the assignment's cells from the source notebooks, a copy of each submission in autograded/ for
formgrader, and marks and comments by hand are kept.
"""

import contextlib
import math
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from nbformat.notebooknode import NotebookNode
from nbgrader.api import Grade, Gradebook, MissingEntry, SubmittedNotebook
from nbgrader.preprocessors import AssignLatePenalties as Lateness
from nbgrader.utils import compute_checksum, determine_grade, is_grade, is_solution
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config

from autograder.adapters import database, feedback, late, restore, rubrics, workspace
from autograder.adapters.table import harmless
from autograder.grading import private
from autograder.intake.problems import Problem
from autograder.intake.student_ids import folder_of
from autograder.intake.submissions import Submission
from autograder.intake.times import Times
from autograder.release.generate import load_config, record_assignment

NO_ANSWER = frozenset({"timeout", "crash", "invalid_output", "missing"})  # a cell without a score then gets 0 points
REGRADE = "The grader could not finish (its failure, not yours). You lost no points; this will be graded again."
Released = dict[str, NotebookNode]  # an assignment's notebooks by name
NOT_IN_NAMES = frozenset('/\\,;:"*?[]{}|<>')  # a student's name is a folder and a table field: no separators, no globs


def write_gradebook(
    db_url: str, records: Iterable[dict], source: Path, submitted: Path, autograded: Path, times: Times | None = None
) -> list[Problem]:
    """Write records (parsed results.json) into the gradebook; returns what went wrong.

    source is the solutions folder, beside nbgrader_config.py; submitted and autograded are laid out as
    <student>/<assignment>/<notebook>.ipynb, and autograded is beside the records, whose pictures are shown too.
    times are those of the submissions, from outside the students' folders.
    A submission that cannot be written loses its old automatic score and is flagged; the others are still written.
    Calling it again with the same records changes nothing.
    GradebookError if there is no gradebook to write to, or it goes away; what was written until then stays.
    """
    problems: list[Problem] = []
    config = load_config(source.parent)
    lateness = late.rule(config)
    known: dict[str, Released | Exception] = {}
    with database.open_gradebook(db_url, config.CourseDirectory.get("course_id", "default_course")) as gb:
        workspace.write_settings(autograded.parent, source.parent, submitted, db_url)
        for number, record in enumerate(records):
            label, key = _label(record, number), None
            try:
                label = key = _identify(record, source)
                student, assignment = key
                if assignment not in known:
                    known[assignment] = _released(gb, source / assignment, config)
                if isinstance(released := known[assignment], Exception):
                    raise released
                folders = submitted / student, autograded / student, autograded.parent / folder_of(student)
                odd = _write_record(gb, (*key, (times or {}).get(key)), record, released, folders, lateness)
                problems += [Problem(*label, p) for p in odd]
            except Exception as error:
                with contextlib.suppress(SQLAlchemyError):
                    gb.db.rollback()
                if gone := database.lost(db_url, error, number):
                    raise gone from None
                kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
                problems.append(Problem(*label, f"not written: {kind}{database.reason(error)}"))
                if key and not _withdraw(gb, *key):
                    problems.append(Problem(*label, "AN OLD SCORE MAY REMAIN: it could not be withdrawn"))
    return problems


def _label(record: Any, number: int) -> tuple[str, str]:
    """Whose record it claims to be, for a message."""
    with contextlib.suppress(KeyError, TypeError):
        names = record["extra_data"]["student"], record["extra_data"]["assignment"]
        if all(isinstance(name, str) and name.isprintable() and len(name) < 300 for name in names):
            return names
    return f"record {number}", ""


def _identify(record: Any, source: Path) -> tuple[str, str]:
    """Student and assignment; ValueError for names unsafe in folders or tables."""
    extra = record["extra_data"]
    student, assignment = extra["student"], extra["assignment"]
    named = isinstance(student, str) and 0 < len(student) <= 128 and student.isprintable()
    # It must not hide a folder, nor be a formula to a spreadsheet, such as =1+1.
    formula = not named or student[0] in "=+-@" or harmless(student) != student
    if formula or student != student.strip() or set(student) & NOT_IN_NAMES or student.startswith("."):
        raise ValueError(f"student name {student!r} cannot be stored safely; rename the folder and grade it again")
    if not isinstance(assignment, str) or assignment not in {p.name for p in source.iterdir() if p.is_dir()}:
        raise ValueError(f"there is no assignment {assignment!r}")
    return student, assignment


def _released(gb: Gradebook, folder: Path, config: Config) -> Released | Exception:
    """The assignment, entered into the gradebook; if that fails, the exception, for every record of it."""
    try:
        return record_assignment(gb, folder, config)
    except Exception as error:
        gb.db.rollback()
        return error


def _write_record(
    gb: Gradebook,
    key: tuple[str, str, datetime | None],
    record: dict,
    released: Released,
    folders: Iterable[Path],
    lateness: Lateness,
) -> list[str]:
    """Write one submission with its time: its rows, then its files; returns its problems."""
    student, assignment, came = key
    submitted, autograded, pictures = (folder / assignment for folder in folders)
    problems: list[str] = []
    extra, tests = record["extra_data"], record.get("tests") or []
    notebooks, total = extra.get("notebooks") or {}, record.get("score")
    # If the grader failed on a notebook, there is no total; each notebook says whether it was graded.
    failed = extra.get("outcome") == "infrastructure_error"
    withheld = total is not None if failed else not _in_range(total, math.inf)
    if withheld and total is not None:
        problems.append(f"total {total!r} with outcome {extra.get('outcome')!r}: all scores are withheld")
    parts = [score for given in notebooks.values() for score in (given.get("cells") or {}).values()]
    known = not failed and not withheld and parts and all(_in_range(p, math.inf) for p in parts)
    if known and abs(sum(parts) - total) > 0.01:
        problems += [
            f"the cells' scores add up to {sum(parts):g}, but the record says {total:g}; the cells' scores were written"
        ]
    problems += [f"there is no notebook {name!r}" for name in notebooks.keys() - released.keys()]

    if submitted.is_symlink() or submitted.parent.is_symlink():  # it may lead to another student's answers
        problems.append("the submitted folder is a link; no answers are shown")
        submitted = submitted / "a link is no submission"
    submission = database.submission(gb, student, assignment, timestamp=late.plain(came))
    if submission.duedate and not came:
        claimed = f", and {late.CLAIM}" if os.path.lexists(submitted / "timestamp.txt") else ""
        problems.append(f"{late.UNKNOWN}{claimed}")
    files: dict[Path, NotebookNode] = {}
    handed_in = Submission(student, assignment, submitted).files
    for entry in submission.notebooks:
        if entry.name not in released:
            problems.append(f"{entry.name}: in the gradebook, but no longer in the solutions; left unchanged")
            continue
        if notebooks and entry.name not in notebooks:  # not graded this time: what it has stays
            continue
        path = autograded / f"{entry.name}.ipynb"
        given = {"outcome": extra.get("outcome")} | dict(notebooks.get(entry.name) or {})
        if withheld:
            given["outcome"] = "infrastructure_error"
        files[path] = restore.viewable(handed_in.get(entry.name, submitted / path.name), released[entry.name])
        if given["outcome"] != "infrastructure_error":
            feedback.show(files[path], assignment, entry.name, given, tests, pictures)
        problems += [f"{entry.name}: {p}" for p in _write_entry(entry, given, files[path], restore.answers(path))]
        rubrics.show(files[path], assignment, entry.name)
    gb.db.flush()
    gb.db.expire_all()  # scores are sums that the database makes
    late.assign(submission, lateness)
    gb.db.commit()  # first: a file ahead of its row would hide that an answer has changed since it was marked
    graded = autograded.parents[2] / workspace.GRADED / student / assignment
    for path, nb in files.items():
        restore.write_notebook(nb, autograded / path.name, graded / path.name)
    for folder in (autograded, graded):
        if came:  # nbgrader compares these to see what is new
            private.write_text(folder / "timestamp.txt", f"{submission.timestamp} UTC\n")
        else:
            (folder / "timestamp.txt").unlink(missing_ok=True)
    return problems


def _write_entry(entry: SubmittedNotebook, given: dict, shown: NotebookNode, marked: dict[str, str]) -> list[str]:
    """Scores, flags and comments of one notebook; marked holds the answers as they were when last shown to a marker."""
    problems: list[str] = []
    cells, outcome, scores = restore.by_id(shown), given.get("outcome"), given.get("cells") or {}
    judged = [grade for grade in entry.grades if not is_solution(cells[grade.name])]
    ours = entry.flagged and any(grade.auto_score is None for grade in judged)  # our flag, not a marker's
    for grade in entry.grades:
        cell, auto, changed = cells[grade.name], None, False
        if is_solution(cell):
            auto = 0.0 if not cell.source.strip() else determine_grade(cell)[0]  # 0 without an answer, else by hand
            changed = marked.get(grade.name) != cell.source
        elif outcome != "infrastructure_error":
            auto = scores.get(grade.name, 0.0 if outcome in NO_ANSWER else None)
            if not _in_range(auto, grade.cell.max_score):
                problems.append(f"{grade.name}: {auto!r} is not a score from 0 to {grade.cell.max_score:g}; withheld")
                auto = None
        _set_auto(grade, None if outcome == "infrastructure_error" else auto, changed)
    problems += [f"there is no test cell {name!r}" for name in scores.keys() - {grade.name for grade in judged}]

    lacking = any(grade.auto_score is None for grade in judged)
    entry.flagged = lacking or (entry.flagged and not ours)
    for comment in entry.comments:
        cell = cells[comment.name]
        untouched = cell.metadata.nbgrader["checksum"] == compute_checksum(cell)
        comment.auto_comment = "No response." if untouched else None
        if lacking and not is_grade(cell):
            comment.auto_comment = REGRADE
    return problems


def _set_auto(grade: Grade, auto: float | None, changed: bool = False) -> None:
    """Set the automatic score; a mark by hand stays, and is to be looked at again if what it was given for changed."""
    changed = changed or auto != grade.auto_score
    grade.auto_score = auto
    if grade.manual_score is None:
        grade.needs_manual_grade = auto is None
    elif changed:
        grade.needs_manual_grade = True


def _withdraw(gb: Gradebook, student: str, assignment: str) -> bool:
    """No automatic score for a submission that could not be written; False if even that failed."""
    try:
        for entry in database.submission(gb, student, assignment).notebooks:
            entry.flagged = True
            for grade in entry.grades:
                _set_auto(grade, None)
            for comment in entry.comments:
                comment.auto_comment = None
        gb.db.commit()
    except Exception as error:
        gb.db.rollback()
        return isinstance(error, MissingEntry)  # an assignment that was never recorded holds no old score
    return True


def _in_range(value: Any, maximum: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= maximum and value < math.inf
