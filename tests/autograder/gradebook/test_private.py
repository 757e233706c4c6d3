"""What holds seeds, grades, names and what answers printed is for its owner alone, whatever the umask."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from autograder.cli.main import main
from autograder.grading import submission
from autograder.release.generate import CONFIG_FILE
from tests.autograder.redteam.test_names import stand_in

REPO = Path(__file__).resolve().parents[3]
TASK, NOTEBOOK = "5_2_guidance", "label_dropout"


@pytest.fixture
def course(tmp_path, monkeypatch, blank):
    monkeypatch.setattr(submission, "grade_notebook", stand_in)
    (tmp_path / "solutions" / TASK).mkdir(parents=True)
    shutil.copy(REPO / f"solutions/{TASK}/{NOTEBOOK}.ipynb", tmp_path / "solutions" / TASK)
    shutil.copy(REPO / CONFIG_FILE, tmp_path)
    (tmp_path / "submitted/ada" / TASK).mkdir(parents=True)
    shutil.copy(REPO / f"exercises/{TASK}/{NOTEBOOK}.ipynb", tmp_path / "submitted/ada" / TASK)
    return tmp_path


def run(course: Path, umask: int, out: Path) -> dict[Path, int]:
    """Permissions of all that grading, exporting and comparing leave."""
    before, words = os.umask(umask), ["--course", str(course)]
    (course / "exercises").exists() or (course / "exercises").symlink_to(REPO / "exercises")
    (course / "lessons").mkdir(exist_ok=True)
    (course / "ddpm_core").mkdir(exist_ok=True)
    try:
        only = ["--assignment", TASK, "--notebook", NOTEBOOK]
        main(["grade", str(course / "submitted"), "--out", str(out), *only, *words])
        for kind in ("questions", "canvas"):
            main(["export", str(out), "--format", kind, *words])
        main(["similarity", str(course / "submitted"), "--out", str(out / "similar"), *words])
    finally:
        os.umask(before)
    return {path.relative_to(out): path.stat().st_mode & 0o7777 for path in (out, *out.rglob("*"))}


def test_everything_is_private_unless_it_is_shared(course, blank):
    out = course / "build/grades"
    out.mkdir(parents=True, mode=0o777)
    shutil.copy(blank / "gradebook.db", out)  # as an older version left them
    (out / "gradebook.db").chmod(0o644)
    (out / "feedback").mkdir(mode=0o755)
    found = run(course, 0o000, out)
    del found[Path()]  # a folder that was there stays as its owner made it
    names = {str(path) for path in found}
    record = f"ada/{TASK}"
    files = {"grades.csv", "report.html", "gradebook.db", "run.json", "questions.csv", "canvas.csv", ".progress.json"}
    files |= {"nbgrader_config.py", "similar/similarity.csv", "similar/similarity.html", f"graded/{record}"}
    files |= {f"autograded/{record}/{NOTEBOOK}.ipynb", f"{record}/instructor.json", f"{record}/results.json"}
    assert files <= names
    assert {str(path): oct(mode) for path, mode in found.items() if mode & 0o077} == {}
    assert "seed" in json.loads((out / record / "instructor.json").read_text())

    with (course / CONFIG_FILE).open("a") as file:
        file.write("\nc.CourseDirectory.groupshared = True\n")
    found = run(course, 0o077, out)
    assert {oct(mode) for path, mode in found.items() if path.parts[:1] != ("similar",)} == {"0o2770", "0o660"}
    assert run(course, 0o022, course / "new")[Path()] == 0o2770
