"""The gated exercises through the real grading path, gate included; what the gate itself judges is in test_gate.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.authoring.references import cells
from autograder.exercises import EXERCISES
from autograder.gate import looking
from autograder.gate.bands import Band
from autograder.grading import batch
from autograder.grading.judging import judge_notebook
from autograder.intake.extract import grade_id

ROOT = Path(__file__).resolve().parents[3]
GATED = [EXERCISES["5_1_unconditional", name] for name in ("prediction", "architecture")]
PAIR = EXERCISES["5_3_conditioning", "conditioner"]


def path_of(part, exercise):
    return ROOT / part / exercise.assignment / f"{exercise.name}.ipynb"


def submission(folder, exercise, answers):
    nb = json.loads(path_of("exercises", exercise).read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        if grade_id(cell) in answers:
            cell["source"] = answers[grade_id(cell)]
    path = folder / f"{exercise.name}.ipynb"
    path.write_text(json.dumps(nb), encoding="utf-8")
    return path


@pytest.mark.parametrize("exercise", GATED, ids=lambda e: e.name)
def test_the_solution_earns_every_point_and_the_stub_none(exercise):
    grader = batch.make_grader(exercise, seed=5)
    result, images = judge_notebook(exercise, path_of("solutions", exercise), grader)
    assert result.score == result.exercise.max_score == 20, [t for t in result.tests if not t.passed]
    assert result.outcome == "graded" and images is not None and result.gate == 1.0
    assert "adherence" not in result.metrics and result.cells()[exercise.gate_cell] == 10
    assert result.instructor["peak_bytes"] < 2 << 30
    stub, _ = judge_notebook(exercise, path_of("exercises", exercise), grader)
    assert stub.outcome == "missing" and stub.score == 0 and "still holds the stub" in stub.reason


def only_the_gate(exercise):
    """The exercise with little but its gate."""
    return replace(exercise, checks=exercise.checks[:1])


def short(exercise):
    """A grader whose training is too short for anything but to see what is trained."""
    grader = batch.make_grader(exercise, seed=6)
    train = {**grader.run.train, "steps": 2, "warmup": 1}
    return replace(grader, run=replace(grader.run, train=train, samples=40, batch=40, sample_steps=2))


@pytest.mark.parametrize("exercise", [*GATED, PAIR], ids=lambda e: e.name)
def test_a_look_on_the_way_changes_nothing_of_the_last_one(exercise, tmp_path):
    """Where the network is recorded, another process denoises at the looks before the last one."""
    path, grader = path_of("solutions", exercise), short(exercise)
    # limits that nothing is within, but half of them everything: only the last look ends the run
    open_end = {k: Band(full=-1.0, half=float("inf")) for k in grader.bands}
    metrics = []
    for looks in ((), (1, 2)):
        run = replace(grader.run, looks=looks, train={**grader.run.train, "steps": 2, "warmup": 1})
        result, _ = judge_notebook(only_the_gate(exercise), path, replace(grader, run=run, bands=open_end))
        assert result.outcome == "graded" and result.gate == 0.5, result.tests
        assert result.ended == "after 2 training steps" + ", at look 2 of 2" * bool(looks)
        metrics.append(result.metrics)
    assert metrics[0] == metrics[1]


def test_what_ignores_its_label_is_given_up_at_the_second_look(tmp_path, monkeypatch):
    """Here after three steps, by a mark of its own: the gate has its time back."""
    seen, looks = [], looking.looks
    monkeypatch.setattr(looking, "looks", lambda *a, **k: (seen.append(look.step) or look for look in looks(*a, **k)))
    grader = short(PAIR)
    run = replace(grader.run, looks=(1, 3, 5), train={**grader.run.train, "steps": 5, "warmup": 1})
    path = submission(tmp_path, PAIR, cells("conditioner", "ignored"))
    result, _ = judge_notebook(only_the_gate(PAIR), path, replace(grader, run=run))
    assert seen == [1, 3] and result.gate == 0.0


def test_one_wrong_function_costs_the_other_nothing_and_still_is_trained(tmp_path):
    exercise = EXERCISES["5_1_unconditional", "prediction"]
    path = submission(tmp_path, exercise, cells("prediction", "inconsistent"))
    result, images = judge_notebook(exercise, path, short(exercise))
    points = result.cells()
    assert points["predict_x0_checks"] == 5 and points["compute_training_target_checks"] < 2.5
    assert images is not None and result.gate == 0.0 and points["prediction_gate"] == 0


def test_half_an_answer_is_judged_but_not_trained(tmp_path):
    exercise = EXERCISES["5_1_unconditional", "prediction"]
    right = cells("prediction", "v")["predict_x0"]
    result, images = judge_notebook(exercise, submission(tmp_path, exercise, {"predict_x0": right}), short(exercise))
    assert result.outcome == "graded" and result.score == 5 and images is None
    assert "not trained" in next(t.output for t in result.tests if t.name == "reference gate")


def test_a_network_that_ignores_the_time_is_not_trained(tmp_path):
    exercise = EXERCISES["5_1_unconditional", "architecture"]
    path = submission(tmp_path, exercise, cells("architecture", "ignores_time"))
    result, images = judge_notebook(exercise, path, short(exercise))
    assert images is None and 0 < result.score < 10 and "timestep" in result.reason
