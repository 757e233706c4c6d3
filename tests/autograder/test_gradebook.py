"""Records written into a gradebook, read back with nbgrader's own API, its export, its formgrader and its feedback."""

from __future__ import annotations

import copy
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.nbgraderformat import MetadataValidator
from traitlets.config import Config

from autograder.adapters.gradebook import write_gradebook
from autograder.release import CONFIG_FILE

ROOT = Path(__file__).resolve().parents[2]
TASK, NOTEBOOK, FILE = "5_3_conditioning", "conditioner", "conditioner.ipynb"
CHECKS, GATE, WRITTEN = "conditioner_checks", "conditioner_gate", "conditioner_written"


def record(
    student: str, checks: float | None = 10.0, gate: float | None = 5.0, outcome: str = "graded", **more
) -> dict:
    cells = {} if checks is None else {CHECKS: checks, GATE: gate}
    test = {"name": "conditioner: output depends on the label", "score": checks, "max_score": 10.0}
    test |= {"status": "passed" if checks else "failed", "output": "" if checks else "<script>alert(1)</script> `same`"}
    notebooks = {NOTEBOOK: {"outcome": outcome, "reason": "", "cells": cells}}
    extra = {"student": student, "assignment": TASK, "outcome": outcome, "notebooks": notebooks}
    score = None if checks is None else checks + gate
    return {"score": score, "max_score": 20.0, "tests": [test], "extra_data": extra} | more


class Course:
    def __init__(self, root: Path):
        self.root, self.db = root, f"sqlite:///{root / 'grades' / 'gradebook.db'}"
        (root / "solutions" / TASK).mkdir(parents=True)  # one notebook of the assignment: the others are like it
        shutil.copy(ROOT / "solutions" / TASK / FILE, root / "solutions" / TASK)
        shutil.copy(ROOT / CONFIG_FILE, root)

    def submit(self, student: str, answer: str = "one key, one weight: 1", content: bytes | None = None) -> Path:
        nb = nbformat.read(ROOT / "exercises" / TASK / FILE, as_version=4)
        next(c for c in nb.cells if c.id == WRITTEN).source = answer
        path = self.root / "submitted" / student / TASK / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nbformat.writes(nb).encode() if content is None else content)
        return path

    def write(self, *records: dict) -> list[str]:
        folders = [self.root / name for name in ("solutions", "submitted", "autograded")]
        return write_gradebook(self.db, records, *folders)

    def book(self) -> Gradebook:
        return Gradebook(self.db, "conditional-diffusion")

    def state(self, student: str) -> dict[str, tuple]:
        """(auto_score, manual_score, needs_manual_grade) by cell, and whether the notebook is flagged."""
        with self.book() as gb:
            entry = gb.find_submission_notebook(NOTEBOOK, TASK, student)
            grades = {g.name: (g.auto_score, g.manual_score, g.needs_manual_grade) for g in entry.grades}
            return grades | {"flagged": entry.flagged}

    def comment(self, student: str, cell: str = "ClassConditioner") -> str | None:
        with self.book() as gb:
            return gb.find_comment(cell, NOTEBOOK, TASK, student).comment

    def mark(self, student: str, score: float, cell: str = WRITTEN) -> None:
        """What formgrader does when a marker enters a score."""
        with self.book() as gb:
            grade = gb.find_grade(cell, NOTEBOOK, TASK, student)
            grade.manual_score, grade.needs_manual_grade = score, False
            gb.find_comment(WRITTEN, NOTEBOOK, TASK, student).manual_comment = "nicely put"
            gb.db.commit()

    def shown(self, student: str) -> nbformat.NotebookNode:
        return nbformat.read(self.root / "autograded" / student / TASK / FILE, as_version=4)

    def nbgrader(self, *arguments: str, **keywords) -> subprocess.CompletedProcess:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        command = [sys.executable, "-m", "nbgrader", *arguments, "--db", self.db]
        env = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, **keywords)

    def exported(self) -> dict[str, dict[str, str]]:
        self.nbgrader("export", "--to", "grades.csv", check=True)
        return {row["student_id"]: row for row in csv.DictReader((self.root / "grades.csv").open())}


@pytest.fixture(scope="module")
def blank(tmp_path_factory) -> Path:
    """An empty gradebook, to copy: making one takes nbgrader seconds."""
    new = Course(tmp_path_factory.mktemp("blank"))
    assert new.write() == []
    return new.root / "grades"


@pytest.fixture
def course(tmp_path: Path, blank: Path) -> Course:
    shutil.copytree(blank, tmp_path / "grades")
    return Course(tmp_path)


def test_scores_marks_and_export(course: Course):
    for student in ("ana", "bo", "cy", "dee"):
        course.submit(student)
    course.submit("cy", content=b"%PDF, not a notebook")
    course.submit("dee", answer="YOUR ANSWER HERE")
    problems = course.write(
        record("ana"),
        record("bo", None, None, "infrastructure_error"),
        record("cy", 0.0, 0.0, "invalid_output"),
        record("dee", 0.0, 0.0, "crash"),
    )
    assert problems == []
    ana = {CHECKS: (10.0, None, False), GATE: (5.0, None, False), WRITTEN: (None, None, True), "flagged": False}
    assert course.state("ana") == ana
    assert course.state("bo") == dict.fromkeys((CHECKS, GATE, WRITTEN), (None, None, True)) | {"flagged": True}
    for nothing_to_mark in ("cy", "dee"):  # no answer was given, so nbgrader's rule is 0 without a marker
        assert course.state(nothing_to_mark)[WRITTEN] == (0.0, None, False)

    course.mark("ana", 4.0)
    rows = course.exported()
    assert {s: (r["raw_score"], r["score"], r["max_score"]) for s, r in rows.items()} == {
        "ana": ("19.0", "19.0", "25.0"),
        "bo": ("", "", "25.0"),  # no score is no zero
        "cy": ("0.0", "0.0", "25.0"),
        "dee": ("0.0", "0.0", "25.0"),
    }


def test_a_second_call_changes_nothing_and_marks_survive_a_regrade(course: Course):
    course.submit("ana")
    course.write(record("ana"))
    course.mark("ana", 4.0)
    before, files = course.state("ana"), course.shown("ana")
    assert course.write(record("ana")) == []
    assert (course.state("ana"), course.shown("ana")) == (before, files)
    assert before[WRITTEN] == (None, 4.0, False)

    course.write(record("ana", 10.0, 10.0))
    assert course.state("ana")[GATE] == (10.0, None, False)
    assert course.state("ana")[WRITTEN] == (None, 4.0, False)
    assert course.comment("ana", WRITTEN) == "nicely put"

    course.submit("ana", answer="on second thoughts")
    course.write(record("ana"))
    assert course.state("ana")[WRITTEN] == (None, 4.0, True)  # the mark stands, and is to be looked at again

    course.mark("ana", 7.0, GATE)
    course.write(record("ana"))
    assert course.state("ana")[GATE] == (5.0, 7.0, False)
    assert course.exported()["ana"]["score"] == "21.0"


def test_an_old_score_never_survives_a_failed_regrade(course: Course):
    course.submit("ana")
    course.write(record("ana"))
    course.mark("ana", 4.0)
    course.write(record("ana", None, None, "infrastructure_error"))
    state = course.state("ana")
    assert state[CHECKS] == state[GATE] == (None, None, True) and state["flagged"]
    assert state[WRITTEN] == (None, 4.0, False)
    assert course.exported()["ana"]["score"] == ""
    assert "graded again" in course.comment("ana")

    course.write(record("ana"))  # and the flag goes with its reason
    assert course.state("ana")[CHECKS] == (10.0, None, False) and not course.state("ana")["flagged"]

    broken = record("ana")
    broken["extra_data"]["notebooks"] = {NOTEBOOK: "?"}
    assert "not written" in course.write(broken)[0]
    assert course.state("ana")[CHECKS] == (None, None, True) and course.state("ana")["flagged"]


def test_what_is_not_a_score_is_withheld(course: Course):
    course.submit("ana")
    for score in (float("nan"), float("inf"), -1.0, 10.5, "10", True, None):
        course.write(record("ana"))
        bad = record("ana")
        bad["extra_data"]["notebooks"][NOTEBOOK]["cells"][GATE] = score
        assert any(GATE in problem and "withheld" in problem for problem in course.write(bad))
        assert course.state("ana")[GATE] == (None, None, True) and course.state("ana")["flagged"]
    total = course.write(record("ana", score=float("nan")))
    assert "withheld" in total[0] and course.state("ana")[CHECKS] == (None, None, True)


def test_one_odd_student_does_not_break_the_others(course: Course):
    odd = [
        "",
        ".",
        "..",
        "../../x",
        "a/b",
        "eve,,,,,99",
        "=cmd()",
        "a\nb",
        "x\0",
        "*",
        " pad",
        "\ud800",
        "é" * 200,
        None,
    ]
    more = ["a" * 129, "{0}", 'q"q']
    course.submit("ana")
    course.submit("Zoë O'Brien-1")
    extra = [{}, None, record("ana2") | {"extra_data": {"student": "ana2", "assignment": "../etc"}}]
    problems = course.write(*map(record, odd + more), *extra, record("ana"), record("Zoë O'Brien-1"))
    assert len(problems) == len(odd) + len(more) + len(extra)
    assert course.state("ana")[CHECKS] == course.state("Zoë O'Brien-1")[CHECKS] == (10.0, None, False)
    assert set(course.exported()) == {"ana", "Zoë O'Brien-1"}
    assert {p.name for p in (course.root / "autograded").iterdir()} == {"ana", "Zoë O'Brien-1"}


def test_cells_and_notebooks_may_be_added_while_the_course_runs(course: Course):
    course.submit("ana")
    course.write(record("ana"))
    source = course.root / "solutions" / TASK
    nb = nbformat.read(source / FILE, as_version=4)
    more = copy.deepcopy(next(c for c in nb.cells if c.id == GATE))
    more.id = more.metadata.nbgrader.grade_id = "conditioner_more"
    nb.cells.append(more)
    nbformat.write(nb, source / FILE)
    shutil.copy(ROOT / "solutions" / TASK / FILE, source / "other.ipynb")
    problems = course.write(record("ana"))
    assert course.state("ana")["conditioner_more"] == (None, None, True)  # not a silent zero
    assert course.state("ana")[CHECKS] == (10.0, None, False)
    assert sum("withheld" in p for p in problems) == 1  # what a notebook that was not graded has, stays

    nb.cells = [c for c in nb.cells if c.id != GATE]
    nbformat.write(nb, source / FILE)
    assert "now lacks" in course.write(record("ana"))[0]
    assert course.state("ana")[CHECKS] == (None, None, True)


def test_formgrader_finds_everything(course: Course):
    for student in ("ana", "cy"):
        course.submit(student).with_name("timestamp.txt").write_text("2026-01-02 03:04:05 UTC\n")
    course.submit("cy", content=b"\x00\xff")
    course.write(record("ana"), record("cy", 0.0, 0.0, "invalid_output"))
    config = Config(
        {"CourseDirectory": {"root": str(course.root), "db_url": course.db, "source_directory": "solutions"}}
    )
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    assert api.get_autograded_students(TASK) == {"ana", "cy"}
    listed = {s["student"]: s for s in api.get_notebook_submissions(TASK, NOTEBOOK)}
    assert listed["ana"]["needs_manual_grade"] and not listed["cy"]["needs_manual_grade"]
    assert (listed["ana"]["score"], listed["ana"]["max_score"]) == (15.0, 25.0)
    for student in listed:
        MetadataValidator().validate_nb(course.shown(student))
    assert (
        course.shown("cy").cells[0].cell_type == "markdown" and "not a readable" in course.shown("cy").cells[0].source
    )


def test_feedback_shows_the_checks_and_runs_nothing(course: Course):
    course.submit("ana", answer="<img src=x onerror=alert(1)> [x](javascript:alert(1))")
    course.write(record("ana", 0.0, 0.0, "crash"))
    assert "FAILED  output depends on the label" in course.comment("ana")
    assert course.comment("ana", "prepare_conditioning") == "No response."
    course.nbgrader("generate_feedback", TASK, check=True)
    html = (course.root / "feedback" / "ana" / TASK / "conditioner.html").read_text()
    assert "output depends on the label" in html
    for active in ("<script>alert", "<img src=x", 'href="javascript'):
        assert active not in html


def test_nbgraders_own_autograding_is_refused_before_it_touches_a_grade(course: Course):
    course.submit("ana")
    course.write(record("ana"))
    before = course.state("ana"), course.shown("ana")
    result = course.nbgrader("autograde", TASK, "--force")
    assert result.returncode != 0 and "autograder grade" in result.stderr
    assert (course.state("ana"), course.shown("ana")) == before
