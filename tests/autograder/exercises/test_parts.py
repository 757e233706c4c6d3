"""Answers judged one by one: an error in one costs nothing in another, and none sees the solution of its own cell."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.exercises import EXERCISES, schedules
from autograder.grading import batch, judging
from autograder.grading.judging import judge_notebook
from autograder.grading.results import NotebookResult, Test
from autograder.intake import model_solutions
from autograder.sandbox.limits import Failure

EXERCISE = schedules.EXERCISE
RIGHT = {n: model_solutions.reference(EXERCISE, (n,))[n] for n in EXERCISE.answers}


def judge(tmp_path, cells, exercise=EXERCISE, **changes):
    """The result of a notebook with these answer cells."""
    made = [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": n}}, "source": s} for n, s in cells.items()]
    path = tmp_path / "schedules.ipynb"
    path.write_text(json.dumps({"cells": made, "nbformat": 4}), encoding="utf-8")
    return judge_notebook(exercise, path, batch.make_grader(exercise, 0, **changes))[0]


HANG = "def linear_beta_schedule(timesteps, beta_start=0, beta_end=1):\n    while True:\n        pass\n"
DIE = "import os\ndef linear_beta_schedule(timesteps, beta_start=0, beta_end=1):\n    os._exit(3)\n"
LATE = "def linear_beta_schedule(timesteps, beta_start=0, beta_end=1):\n    raise KeyError('x')\n"
SPOILT = "torch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n" + RIGHT["linear_beta_schedule"]


@pytest.mark.parametrize(
    "first, lost, says",
    [
        (HANG, 2, "no result within 5 s"),
        (DIE, 2, "exit status 3"),
        (LATE, 2, "your code raised KeyError in cell `linear_beta_schedule`, line 2"),
        ("def another_name(): pass", 2, "does not define `linear_beta_schedule`"),
        (None, 2, "no answer cell `linear_beta_schedule`"),
        ("from ddpm_core.schedule import linear_beta_schedule", 2, "write it yourself"),
        (SPOILT, 0, ""),
    ],
    ids=["hangs", "dies", "raises", "other name", "not there", "imported", "changes torch's settings"],
)
def test_one_bad_answer_costs_its_own_points_only(tmp_path, first, lost, says):
    cells = {**RIGHT, "linear_beta_schedule": first}
    result = judge(tmp_path, {k: v for k, v in cells.items() if v is not None}, check_s=5.0)
    assert result.outcome == "graded" and result.score == 10 - lost
    assert [t.name for t in result.tests] == [c.name for c in EXERCISE.checks]
    for test in result.tests:
        assert test.passed == (not lost or not test.name.startswith("linear")), test
        assert test.passed or says.lower() in test.output.lower()
    assert result.cells()["linear_beta_schedule_checks"] == 2 - lost
    assert (result.code == "imported_answer") == ("write it yourself" in says)


def test_where_every_answer_fails_the_outcome_says_how(tmp_path):
    only = replace(EXERCISE, answers=("linear_beta_schedule",), checks=EXERCISE.checks_of("linear_beta_schedule"))
    for source, outcome in ((HANG, "timeout"), (DIE, "crash"), ("1 /", "crash")):
        result = judge(tmp_path, {"linear_beta_schedule": source}, only, check_s=5.0)
        assert result.outcome == outcome and result.score == 0 and result.reason


def test_helpers_of_other_cells_are_not_seen(tmp_path):
    uses = "def cosine_beta_schedule(timesteps, s=0.008):\n    return linear_beta_schedule(timesteps)"
    result = judge(tmp_path, {**RIGHT, "cosine_beta_schedule": uses})
    lost = [t for t in result.tests if not t.passed]
    assert {t.name.split(":")[0] for t in lost} == {"cosine_beta_schedule"}
    assert "an answer cell must define what it needs" in lost[0].output


NEEDS = replace(EXERCISE, needs={"q_sample": ("linear_beta_schedule",)})


def test_what_an_answer_builds_on_is_supplied_and_its_own_solution_is_not(tmp_path):
    assert list(judging.groups(NEEDS, RIGHT)) == [("linear_beta_schedule", "cosine_beta_schedule"), ("q_sample",)]
    uses = RIGHT["q_sample"].replace("abar = ", "assert len(linear_beta_schedule(7)) == 7\n    abar = ")
    result = judge(tmp_path, {"q_sample": uses, "linear_beta_schedule": LATE}, NEEDS)
    assert result.cells() == {"linear_beta_schedule_checks": 0, "cosine_beta_schedule_checks": 0, "q_sample_checks": 4}
    looks = "import gc\ndef linear_beta_schedule(timesteps, a=1e-4, b=0.02):\n    "
    looks += "return q_sample if 'q_sample' in globals() else cosine_beta_schedule(timesteps)"
    result = judge(tmp_path, {**RIGHT, "linear_beta_schedule": looks}, NEEDS)
    assert "NameError" in result.tests[0].output and result.score == 8


def test_at_home_the_own_cells_stand_in_and_without_solutions_nothing_is_graded(tmp_path):
    uses = RIGHT["q_sample"].replace("abar = ", "assert linear_beta_schedule(7) == 'mine'\n    abar = ")
    mine = "def linear_beta_schedule(timesteps):\n    return 'mine'"
    result = judge(tmp_path, {"q_sample": uses, "linear_beta_schedule": mine}, NEEDS, solutions=None)
    assert result.cells()["q_sample_checks"] == 4
    with pytest.raises(Failure, match="infrastructure_error"):
        model_solutions.reference(EXERCISE, ("q_sample",), Path("/nowhere"))
    result = judge(tmp_path, {"q_sample": uses}, NEEDS, solutions=tmp_path)
    assert result.outcome == "infrastructure_error" and result.score is None


def test_messages_say_which_answer_to_mend_first():
    exercise = EXERCISES["5_2_guidance", "guided_sampling"]
    checks = [c for a in exercise.answers for c in exercise.checks_of(a)[:2]]
    for wrong, says in ((checks, True), (checks[2:], False), (checks[:2], False)):
        tests = [Test(c.name, 0.0 if c in wrong else c.points, c.points, "No.") for c in checks]
        result = NotebookResult(exercise, "graded", "", tests)
        judging.mend_first(judging.Judging(batch.make_grader(exercise, 0), result, 0, lambda what, share: None))
        said = [t.name for t in result.tests if "Fix `guided_eps` first" in t.output]
        assert said == ([c.name for c in checks[2:]] if says else [])
