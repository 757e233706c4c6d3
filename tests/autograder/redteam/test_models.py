"""An answer that does not call its model gets nothing: no table of it is in the answer's process."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.authoring.mutants import banks, failures
from autograder.exercises import EXERCISES
from autograder.grading import batch
from autograder.grading.judging import judge_notebook

SOURCES = runpy.run_path(str(Path(__file__).parent / "attacks/models.py"))
ATTACKS = SOURCES["ATTACKS"]
BY_NAME = {e.name: e for e in EXERCISES.values()}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_table_of_a_model_is_found(name, tmp_path, got):
    exercise, answer, source = ATTACKS[name]
    exercise = replace(BY_NAME[exercise], answers=(answer,), checks=BY_NAME[exercise].checks_of(answer))
    cells = [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": answer}}, "source": source}]
    (tmp_path / f"{exercise.name}.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}), encoding="utf-8")
    result, _ = judge_notebook(exercise, tmp_path / f"{exercise.name}.ipynb", batch.make_grader(exercise, 7))
    assert result.outcome == "graded" and result.score == 0, [t.name for t in result.tests if t.passed]
    assert "LEAK:" not in result.instructor["printed"]
    got(name, result.score)


@pytest.mark.parametrize("seed", [0, 1])
def test_what_the_first_calls_say_does_not_lead_to_the_images(seed):
    bank = next(b for b in banks("guided_sampling") if b.answer == "sample_conditional")
    names = {f"{bank.answer}: {name}" for name in ("lands on images of the class", "guidance_scale counts")}
    assert failures(bank, SOURCES["ASKS_FIRST"], seed, only=names).keys() == names
