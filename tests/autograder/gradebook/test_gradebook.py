"""Records written into a gradebook, read back with nbgrader's own API, its export, its formgrader and its feedback."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import nbformat
import pytest
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.nbgraderformat import MetadataValidator

from autograder.release.generate import load_config

ROOT = Path(__file__).resolve().parents[3]
TASK, NOTEBOOK, FILE = "5_3_conditioning", "conditioner", "conditioner.ipynb"
CHECKS, GATE, WRITTEN = "conditioner_checks", "conditioner_gate", "conditioner_written"


both = pytest.mark.parametrize("course", ["sqlite", "postgresql"], indirect=True)


@both
def test_scores_marks_and_export(course, record):
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


@both
def test_a_second_call_changes_nothing_and_marks_survive_a_regrade(course, record):
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


@both
def test_an_old_score_never_survives_a_failed_regrade(course, record):
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


def test_a_notebook_that_was_not_graded_leaves_the_others_marks(course, record):
    course.submit("ana")
    rec = record("ana")
    rec["score"], rec["extra_data"]["outcome"] = None, "infrastructure_error"
    given = rec["extra_data"]["notebooks"][NOTEBOOK]
    rec["extra_data"]["notebooks"]["adagn"] = given | {"outcome": "infrastructure_error", "score": None, "cells": {}}
    assert course.write(rec) == [f"ana/{TASK}: there is no notebook 'adagn'"]
    assert course.state("ana")[CHECKS] == (10.0, None, False) and not course.state("ana")["flagged"]


def test_what_is_not_a_score_is_withheld(course, record):
    course.submit("ana")
    for score in (float("nan"), float("inf"), -1.0, 10.5, "10", True, None):
        course.write(record("ana"))
        bad = record("ana")
        bad["extra_data"]["notebooks"][NOTEBOOK]["cells"][GATE] = score
        assert any(GATE in problem and "withheld" in problem for problem in course.write(bad))
        assert course.state("ana")[GATE] == (None, None, True) and course.state("ana")["flagged"]
    total = course.write(record("ana", score=float("nan")))
    assert "withheld" in total[0] and course.state("ana")[CHECKS] == (None, None, True)


@both
def test_one_odd_student_does_not_break_the_others(course, record):
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
    assert {p.name for p in (course.out / "autograded").iterdir()} == {"ana", "Zoë O'Brien-1"}


def test_cells_and_notebooks_may_be_added_while_the_course_runs(course, record):
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


@both
def test_formgrader_finds_everything(course, record):
    for student in ("ana", "cy"):
        course.submit(student).with_name("timestamp.txt").write_text("2026-01-02 03:04:05 UTC\n")
    course.submit("cy", content=b"\x00\xff")
    course.write(record("ana"), record("cy", 0.0, 0.0, "invalid_output"))
    config = load_config(course.out)  # as formgrader finds it there
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


def test_feedback_shows_the_checks_and_runs_nothing(course, record):
    course.submit("ana", answer="<img src=x onerror=alert(1)> [x](javascript:alert(1))")
    course.write(record("ana", 0.0, 0.0, "crash"))
    told = "".join(o.text for cell in course.shown("ana").cells for o in cell.get("outputs", []))
    assert "outcome: crash" in told and "FAILED  output depends on the label: <script>" in told
    assert course.comment("ana", "prepare_conditioning") == "No response."
    course.give_feedback()
    html = (course.out / "feedback" / "ana" / TASK / "conditioner.html").read_text()
    assert "FAILED  output depends on the label: &lt;script&gt;" in html
    for active in ("<script>alert", "<img src=x", 'href="javascript'):
        assert active not in html
