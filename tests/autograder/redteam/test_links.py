"""A folder that is really another student's: neither graded, nor shown as the answers of the one who linked it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autograder.adapters.gradebook import write_gradebook
from autograder.grading import batch
from autograder.intake.extract import Unreadable, read_bytes
from autograder.release.generate import CONFIG_FILE

REPO = Path(__file__).resolve().parents[3]
TASK, NOTEBOOK = "5_3_conditioning", "conditioner"
MARK = "ada's own work"


@pytest.fixture
def course(tmp_path) -> Path:
    """Ada's submission, and two links to it: one of a whole student, one of an assignment."""
    (tmp_path / "solutions" / TASK).mkdir(parents=True)
    shutil.copy(REPO / "solutions" / TASK / f"{NOTEBOOK}.ipynb", tmp_path / "solutions" / TASK)
    shutil.copy(REPO / CONFIG_FILE, tmp_path)
    submitted = tmp_path / "submitted"
    (submitted / "ada" / TASK).mkdir(parents=True)
    text = (REPO / "exercises" / TASK / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8")
    assert "# YOUR CODE HERE" in text
    (submitted / "ada" / TASK / f"{NOTEBOOK}.ipynb").write_text(text.replace("# YOUR CODE HERE", f"# {MARK}"))
    (submitted / "copier").symlink_to(submitted / "ada")
    (submitted / "linker").mkdir()
    (submitted / "linker" / TASK).symlink_to(submitted / "ada" / TASK)
    return tmp_path


def test_a_linked_folder_is_neither_graded_nor_shown(course):
    submissions = [s for s in batch.find(course / "submitted") if s.student != "ada"]
    records = batch.grade(submissions, course / "out", 0, progress=False)
    assert [r["extra_data"]["student"] for r in records] == ["copier", "linker"]
    for record in records:
        assert record["score"] == 0 and record["extra_data"]["notebooks"][NOTEBOOK]["outcome"] == "missing"
        assert "is a link; hand in the files themselves" in record["extra_data"]["notebooks"][NOTEBOOK]["reason"]
    shown, db = course / "out/autograded", f"sqlite:///{course / 'gradebook.db'}"
    problems = write_gradebook(db, records, course / "solutions", course / "submitted", shown)
    assert len([p for p in problems if "is a link; no answers are shown" in p.text]) == 2
    for name in ("copier", "linker"):
        assert MARK not in (shown / name / TASK / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8")


def test_a_linked_file_is_not_read(course):
    own = course / "submitted/mallory" / TASK
    own.mkdir(parents=True)
    (own / f"{NOTEBOOK}.ipynb").symlink_to(course / "submitted/ada" / TASK / f"{NOTEBOOK}.ipynb")
    with pytest.raises(Unreadable, match="is a link"):
        read_bytes(own / f"{NOTEBOOK}.ipynb")
