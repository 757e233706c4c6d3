"""Whatever is handed in instead of a notebook is a missing answer, with a sentence each."""

from __future__ import annotations

import os
import time

import pytest

from autograder.exercises import of_assignment
from autograder.grading import batch
from autograder.grading.judging import judge_notebook
from autograder.intake.extract import extract
from tests.autograder.inputs.notebooks import EXERCISE, SOLUTION, TEXT, write

DEEP = '{"cells": [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "q_sample"}}, "source": %s}]}'
NO_NOTEBOOK = {
    "empty": (b"", "is empty"),
    "only line ends": (b"\n\r\n  ", "is empty"),
    "a letter": ("Dear instructor, see my mail. Yours, Otto", "not JSON"),
    "a PDF": (b"%PDF-1.7\n\xe2\xe3\xcf\xd3", "not UTF-8"),
    "a zip": (b"PK\x03\x04\x14\x00", "not JSON"),
    "Latin-1": (TEXT.replace("image", "Übung", 1).encode("latin-1", "ignore"), "not UTF-8"),
    "UTF-16": (TEXT.encode("utf-16"), "not UTF-8"),
    "cut off": (TEXT[: len(TEXT) // 2], "not JSON"),
    "a merge conflict": ("{\n<<<<<<< HEAD\n" + TEXT[2:], "conflict markers of git (`<<<<<<<` in line 2), so"),
    "a list": ("[]", "no list of cells"),
    "a number": ("7", "no list of cells"),
    "cells of another kind": ('{"cells": {"a": 1}}', "no list of cells"),
    "format 3": ('{"worksheets": [{"cells": []}], "nbformat": 3}', "notebook format 3; type `jupyter nbconvert"),
    "deep nesting": ("[" * 1_000_000, "not JSON"),
    "deep nesting of a source": (DEEP % ("[" * 900 + "]" * 900), "no answer cell"),
    "a number of a million digits": ('{"cells": [' + "9" * 1_000_000 + "]}", "not JSON"),
    "100 MB": (TEXT[:-2] + " " * (100 << 20) + "}", "larger than 20 MB; clear its outputs"),
    "30 MB of text": (TEXT[:-2] + " " * (30 << 20) + "}", "larger than 20 MB even without its outputs"),
    "30 MB of brackets": ("[" * (30 << 20), "larger than 20 MB even without its outputs"),
}


@pytest.mark.parametrize("name", NO_NOTEBOOK)
def test_files_that_are_no_notebooks_are_missing_answers(name, tmp_path):
    content, says = NO_NOTEBOOK[name]
    start = time.thread_time()
    result, _ = judge_notebook(EXERCISE, write(tmp_path, content), batch.make_grader(EXERCISE, 0))
    assert result.outcome == "missing" and result.score == 0
    assert says in result.reason and result.reason.endswith(".") and len(result.reason) < 200
    assert sum(t.max_score for t in result.all_tests()) == EXERCISE.max_score
    assert time.thread_time() - start < 5


def test_what_is_no_file(tmp_path):
    path, grader = tmp_path / "schedules.ipynb", batch.make_grader(EXERCISE, 0)

    def says() -> str:
        result, _ = judge_notebook(EXERCISE, path, grader)
        assert (result.outcome, result.score) == ("missing", 0)
        return result.reason

    assert "there is no file" in says().lower()
    path.mkdir()
    assert "is a folder, not a regular file" in says()
    path.rmdir()
    path.symlink_to(SOLUTION)
    assert "is a link, not a regular file" in says()
    path.unlink()
    os.mkfifo(path)
    assert "is a pipe or a device, not a regular file" in says()


@pytest.mark.parametrize("encode", [lambda t: t.encode("utf-8-sig"), lambda t: t.replace("\n", "\r\n").encode()])
def test_byte_order_mark_and_windows_line_ends(encode, tmp_path):
    assert extract(write(tmp_path, encode(TEXT)), EXERCISE.answers) == extract(SOLUTION, EXERCISE.answers)


def test_every_exercise_of_the_assignment_gets_a_line(tmp_path):
    (tmp_path / "s/ada" / EXERCISE.assignment).mkdir(parents=True)
    rec = batch.grade(batch.find(tmp_path / "s"), tmp_path / "o", 0, progress=False)[0]
    assert set(rec["extra_data"]["notebooks"]) == {e.name for e in of_assignment(EXERCISE.assignment)}
    assert rec["extra_data"]["outcome"] == "missing" and rec["score"] == 0
