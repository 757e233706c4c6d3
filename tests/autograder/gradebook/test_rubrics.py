"""Rubrics of written answers: formgrader shows them, students never get them."""

import json
from pathlib import Path

import nbformat
import pytest

from autograder import travel
from autograder.adapters import rubrics
from autograder.exercises import EXERCISES
from autograder.intake.extract import grade_id

ROOT = Path(__file__).resolve().parents[3]
TASK, NOTEBOOK, WRITTEN = "5_3_conditioning", "conditioner", "conditioner_written"


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda e: e.name)
def test_every_written_question_has_one_whose_points_add_up(exercise):
    cells = json.loads((ROOT / f"solutions/{exercise.assignment}/{exercise.name}.ipynb").read_text())["cells"]
    points = {grade_id(c): c["metadata"]["nbgrader"].get("points") for c in cells if grade_id(c)}
    assert [points[name] for name in exercise.written] == [sum(p for p, _ in rubrics.read(exercise.name))]
    assert len(exercise.written) == 1  # more need a rubric for each
    assert not any("<" in what for _, what in rubrics.read(exercise.name))  # a page of HTML shows it


def test_it_stands_below_the_answer_and_is_no_cell_of_nbgraders(course, record):
    course.submit("ana")
    assert course.write(record("ana")) == []
    first = course.shown("ana")
    [at] = [i for i, c in enumerate(first.cells) if c.metadata.get(rubrics.MARK)]
    assert grade_id(first.cells[at - 1]) == WRITTEN and "nbgrader" not in first.cells[at].metadata
    for points, what in rubrics.read(NOTEBOOK):
        assert f"- **{points:g}**: {what}" in first.cells[at].source
    assert course.write(record("ana")) == []  # and once more: still one
    assert course.shown("ana") == first


def test_students_get_it_neither_with_the_bundle_nor_with_the_feedback(course, record):
    course.submit("ana")
    assert course.write(record("ana")) == []
    done = course.nbgrader("generate_feedback", TASK, timeout=240)
    assert done.returncode == 0, done.stderr
    page = (course.out / "feedback/ana" / TASK / f"{NOTEBOOK}.html").read_text(encoding="utf-8")
    assert "one key, one weight: 1" in page and "Rubric" not in page
    assert rubrics.read(NOTEBOOK)[0][1][:40] not in page
    assert not [f for f in travel.to_students(ROOT) if f.name == rubrics.FILE]


def test_a_line_that_is_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(rubrics.exercises, "HERE", tmp_path)
    assert rubrics.read("ema") == []
    (tmp_path / "ema").mkdir()
    (tmp_path / "ema/rubric.txt").write_text("1: something\ntwo points for more\n")
    with pytest.raises(ValueError, match=r"line 2 of .*rubric.txt does not have the form POINTS"):
        rubrics.read("ema")
    nb = nbformat.v4.new_notebook()
    rubrics.show(nb, "no such", "assignment")
    assert nb.cells == []
