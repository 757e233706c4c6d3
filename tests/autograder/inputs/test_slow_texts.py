"""No text that a student can write takes more than a moment to read: the whole class would wait for it."""

from __future__ import annotations

import json
import time

import pytest

from autograder.intake import handed_in
from autograder.intake.extract import extract
from autograder.intake.handed_in import look
from autograder.intake.pieces import put_together
from tests.autograder.inputs.notebooks import EXERCISE, NOISY, TEXT, cell, write

A_MOMENT = 0.5  # seconds of processor time; the first version took seconds for these sizes, and hours for larger ones


def took(call) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


@pytest.mark.parametrize("between", ["__", "- ", "_0_", "  "])
def test_a_name_that_may_be_a_copys(between, nb, tmp_path):
    odd = {"nbgrader": {"grade_id": f"x{f'copy{between}' * 13}!"}}
    nb["cells"].append({"cell_type": "code", "metadata": odd, "source": "1"})
    path = write(tmp_path, nb)
    assert took(lambda: extract(path, EXERCISE.answers)) < A_MOMENT


@pytest.mark.parametrize("line", [" " * 3000 + "a" + "?" * 3000 + "x", "\t" * 3000 + "a?" * 1500 + "x"])
def test_a_line_that_may_be_ipythons(line):
    assert took(lambda: put_together("ema", [f"x(\n{line}", "ema = 1"], lambda cell: None)) < A_MOMENT


def test_a_file_is_searched_for_answers_once(tmp_path, monkeypatch):
    """However often the grader asks where the notebook is."""
    read = []
    answers = EXERCISE.answers
    monkeypatch.setattr(handed_in, "extract", lambda path, *_, **__: read.append(path) or extract(path, answers))
    for i in range(3):
        odd = json.loads(TEXT)
        cell(odd, NOISY)["source"] = f"x = {i}"
        (tmp_path / f"schedules ({i}).ipynb").write_text(json.dumps(odd), encoding="utf-8")
    first = look(tmp_path, EXERCISE, [EXERCISE.name])
    assert first.why and len(read) == 3
    assert look(tmp_path, EXERCISE, [EXERCISE.name]) == first and len(read) == 3
    (tmp_path / "schedules (0).ipynb").write_text(json.dumps(json.loads(TEXT)), encoding="utf-8")
    assert look(tmp_path, EXERCISE, [EXERCISE.name]).why and len(read) == 4
