"""One student's folder stops nobody: whatever its name and its content, everyone is graded, listed and exported.

One class for all attacks, with a stand-in for the judging. An attack would show in the harm that it does to others, or
in points: every answer here is the same, and so must be every score.
"""

from __future__ import annotations

import csv
import datetime
import html
import json
import os
import runpy
import shutil
import time
import unicodedata
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import capture_log

from autograder.adapters.late import CLAIM, UNKNOWN
from autograder.cli.main import main
from autograder.grading import batch, submission
from autograder.grading.results import NotebookResult, Test
from autograder.intake.student_ids import folder_of
from autograder.release.generate import CONFIG_FILE, load_config

REPO = Path(__file__).resolve().parents[3]
TASK, NOTEBOOK = "5_2_guidance", "label_dropout"
ATTACKS = runpy.run_path(str(Path(__file__).parent / "attacks/names.py"))
NAMES, TIMES = ATTACKS["NAMES"], ATTACKS["TIMES"]
DUE = datetime.datetime(2026, 1, 31, 12, 0)
LATE = "submitted_at,student,assignment,attempt\n2026-02-01T12:00:00+01:00,late,5_2_guidance,1\n"
OURS = ("ada", "late")


def stand_in(exercise, s, grader, folder, tell):
    points = exercise.checks[0].points
    return NotebookResult(exercise, "graded", "A stand-in.", [Test(exercise.checks[0].name, points, points, "holds")])


class Class:
    def __init__(self, root: Path):
        self.root, self.out, self.submitted = root, root / "grades", root / "submitted"
        (root / "solutions" / TASK).mkdir(parents=True)
        shutil.copy(REPO / f"solutions/{TASK}/{NOTEBOOK}.ipynb", root / "solutions" / TASK)
        text = (REPO / CONFIG_FILE).read_text(encoding="utf-8")
        (root / CONFIG_FILE).write_text(f"{text}\nc.LatePolicy.per_day = 0.5\n", encoding="utf-8")
        (root / "times.csv").write_text(LATE)
        for name in (*OURS, *NAMES, *TIMES):
            folder = self.submitted / name / TASK
            folder.mkdir(parents=True)
            shutil.copy(REPO / f"exercises/{TASK}/{NOTEBOOK}.ipynb", folder)
            TIMES.get(name, lambda folder: None)(folder)
        for where in ("dora/5_2_guidence", "emil", f"fay/{TASK}", "\u0430da"):  # the last one in Cyrillic
            (self.submitted / where).mkdir(parents=True)
        shutil.copy(REPO / f"exercises/{TASK}/{NOTEBOOK}.ipynb", self.submitted / f"fay/{TASK}/{NOTEBOOK}-Copy1.ipynb")
        self.codes: dict[str, int] = {}

    def run(self, *words: str) -> None:
        """A command, whose exit status is kept."""
        try:
            main([*words, "--course", str(self.root)])
            code = 0
        except SystemExit as end:
            code = end.code
        self.codes[" ".join(words[:3]) + f" ({len(self.codes)})"] = code

    def grade(self) -> None:
        self.run("grade", str(self.submitted), "--out", str(self.out), "--assignment", TASK, "--notebook", NOTEBOOK)

    def table(self) -> dict[str, dict[str, str]]:
        return {row["student"]: row for row in csv.DictReader((self.out / "grades.csv").open(encoding="utf-8"))
                if row["outcome"] != "problem"}  # fmt: skip


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    made = Class(tmp_path_factory.mktemp("course"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submission, "grade_notebook", stand_in)
        patch.setattr(os, "fsync", lambda fd: None)  # no power fails here, and a busy disk takes its time
        made.grade()
        with Gradebook(f"sqlite:///{made.out / 'gradebook.db'}") as gb:
            gb.update_or_create_assignment(TASK, duedate=DUE)
            gb.db.commit()
        (made.out / "left.csv.7.tmp").write_text("of a run that was killed")
        made.grade()  # all is found again, and what a killed run left is gone
    for kind in ("questions", "canvas", "moodle"):
        made.run("export", str(made.out), "--format", kind)
    return made


def test_every_command_ends_well(graded):
    assert set(graded.codes.values()) == {0}, graded.codes
    assert not (graded.out / "left.csv.7.tmp").exists()


@pytest.mark.parametrize("name", [*OURS, *NAMES, *TIMES], ids=lambda name: ascii(name)[:40])
def test_everyone_has_a_record_of_their_own_and_the_same_points(name, graded, got):
    student = {"a%09b": "a%2509b", "a\tb": "a%09b"}.get(name, name)
    row = graded.table()[student]
    assert (row["outcome"], row["score"]) == ("graded", graded.table()["ada"]["score"])
    file = graded.out / folder_of(student) / TASK / "results.json"
    assert json.loads(file.read_text(encoding="utf-8"))["extra_data"]["student"] == student
    got(f"a folder named {ascii(name)[:60]}", float(row["score"]) - float(graded.table()["ada"]["score"]))


def test_no_record_lies_on_anothers_place(graded):
    """Not even on a disk that ignores capitals and forms of letters, or drops dots and spaces at the end."""
    records = {folder_of(r["extra_data"]["student"]) for r in batch.all_records(graded.out)}
    others = {p.name for p in graded.out.iterdir()} - records
    assert len(records) == len(OURS) + len(NAMES) + len(TIMES) + 1
    assert {"gradebook.db", "grades.csv", "questions.csv", "report.html", "autograded", "graded", "feedback"} <= others

    def seen(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold().rstrip(". ")

    assert {seen(name) for name in records}.isdisjoint(map(seen, others))
    for name in others:
        for form in (name, name.upper(), f"{name}.", f"{name} ", f"{name}-journal", f"{name}-wal", f"{name}.7.tmp"):
            assert seen(folder_of(form)) not in {seen(other) for other in others}
            assert len(folder_of(form).encode()) < 255 and "/" not in folder_of(form)


@pytest.mark.parametrize("name", TIMES)
def test_a_time_in_the_students_own_folder_is_no_time(name, graded):
    """Points gained by it were half of the score."""
    with Gradebook(f"sqlite:///{graded.out / 'gradebook.db'}") as gb:
        late, mine = gb.find_submission(TASK, "late"), gb.find_submission(TASK, name)
        assert late.late_submission_penalty == late.score / 2 > 0
        assert mine.timestamp is None
    rows = csv.DictReader((graded.out / "grades.csv").open(encoding="utf-8"))
    told = [row["reason"] for row in rows if row["student"] == name and row["outcome"] == "problem"]
    claims = name != "pipes beside the notebook"
    assert (f"{UNKNOWN}, and {CLAIM}" if claims else UNKNOWN) in told
    assert UNKNOWN in (graded.out / "report.html").read_text(encoding="utf-8")


def test_whoever_is_not_graded_stands_in_the_table_and_the_report(graded):
    rows = csv.DictReader((graded.out / "grades.csv").open(encoding="utf-8"))
    told = {(row["student"], row["assignment"], row["reason"]) for row in rows if row["outcome"] == "problem"}
    found = {
        ("dora", "5_2_guidence"): "not graded: no assignment has this name; rename the folder",
        ("emil", ""): "not graded: there is no folder of an assignment",
        ("fay", TASK): f"{NOTEBOOK}-Copy1.ipynb was used as {NOTEBOOK}.ipynb; hand it in under this name",
        ("\u0430da", ""): "looks like the name 'ada', and is '\\u0430da'; see whose folder it is, and rename it",
    }
    assert {(*key, text) for key, text in found.items()} <= told
    page = html.unescape((graded.out / "report.html").read_text(encoding="utf-8"))
    assert all(text in page for text in found.values())


def test_nbgrader_lists_and_runs_without_opening_what_students_made(graded):
    config = load_config(graded.out)
    start, api = time.monotonic(), NbGraderAPI(CourseDirectory(config=config), config=config)
    listed = {s["student"]: s for s in api.get_submissions(TASK)}
    assert {*OURS, *TIMES} <= set(listed) and all(s["autograded"] for s in listed.values())
    assert listed["late"]["timestamp"] == "2026-02-01T11:00:00"
    for where in (graded.out / "graded", graded.submitted):  # also where somebody names the students' own folders
        config.CourseDirectory.submitted_directory = str(where)
        app = Autograde(coursedir=CourseDirectory(config=config, assignment_id=TASK), config=config)
        app.convert_single_notebook = lambda notebook: None  # running it is tried in sandbox/test_kernel.py
        app.force, app.coursedir.student_id_exclude = True, ",".join([*OURS, "fay"])
        said = capture_log(app)
        assert said["success"] and "Traceback" not in said["log"], said["log"]
    assert time.monotonic() - start < 60
    with Gradebook(f"sqlite:///{graded.out / 'gradebook.db'}") as gb:
        assert all(gb.find_submission(TASK, name).timestamp is None for name in TIMES)
