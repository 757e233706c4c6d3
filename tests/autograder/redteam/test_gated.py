"""The gate trains the course's own network, whatever an answer makes of the process that it lives in.

The runs are too short for credit; an attack is compared with the same answer without it.
"""

from __future__ import annotations

import importlib.util
import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.authoring.references import cells
from autograder.exercises import EXERCISES
from autograder.gate import learning
from autograder.grading import batch
from autograder.grading.judging import judge_notebook
from ddpm_core.data import digits

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("redteam_world", HERE / "world.py")
spec.loader.exec_module(world_module := importlib.util.module_from_spec(spec))
ATTACKS = runpy.run_path(str(HERE / "attacks/gated.py"))["ATTACKS"]
LEARNING = runpy.run_path(str(HERE / "attacks/learning.py"))
RIGHT = {"conditioner": cells("conditioner", "add"), "prediction": cells("prediction", "v")}
RIGHT["architecture"] = {"build_model": LEARNING["MIXTURE"]}
BY_NAME = {e.name: replace(e, checks=e.checks[:1]) for e in EXERCISES.values()}  # little but the gate
SHORT = {"steps": 4, "warmup": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = world_module.World(tmp_path_factory.mktemp("course"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def judged(world, tmp_path_factory):
    """The result of answers, with a training of some steps."""

    def judge(name: str, answers: dict[str, str]):
        made = [
            {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": n}}, "source": s} for n, s in answers.items()
        ]
        path = tmp_path_factory.mktemp("submitted") / f"{name}.ipynb"
        path.write_text(json.dumps({"cells": made, "nbformat": 4}), encoding="utf-8")
        grader = batch.make_grader(BY_NAME[name], 7)
        run = replace(grader.run, train={**grader.run.train, **SHORT}, samples=60, batch=60, sample_steps=4)
        result, _ = judge_notebook(BY_NAME[name], path, replace(grader, run=run))
        world.unharmed()
        assert result.outcome == "graded", result.reason
        return result

    return judge


@pytest.fixture(scope="module")
def honest(judged):
    """The results of the right answers, each made when it is first asked for."""
    made = {}
    return lambda name: made.get(name) or made.setdefault(name, judged(name, RIGHT[name]))


def told(result) -> str:
    return f"none; distance {result.metrics['distance']:.2f}" if result.metrics else "none; refused"


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_other_network_takes_the_place_of_the_courses(attack, world, judged, honest, got):
    name, cell, source, unmoved = ATTACKS[attack]
    images = digits("train").images.flatten().tolist()
    letters = "".join(chr(97 + round(v / 255 * 16)) for v in images)
    source = world.fill(source, DIGITS=letters, OPERATIONS=BY_NAME[name].operations, RIGHT=RIGHT[name][cell])
    result, without = judged(name, {**RIGHT[name], cell: source}), honest(name)
    assert "ran: gated" in result.instructor["printed"] and result.metrics
    assert result.score <= without.score
    if unmoved:
        assert result.metrics == without.metrics
    else:
        assert result.metrics["heldout_loss"] > without.metrics["heldout_loss"]
        assert result.metrics["distance"] > 0.9 * without.metrics["distance"]
    got(attack, result.score - without.score, told(result))


@pytest.mark.parametrize("attack", LEARNING["TOGETHER"])
def test_no_image_reaches_a_network_that_learns_nothing(attack, world, judged, honest, got):
    """Neither what the process of an answer is sent nor what its forward pass sees is an image that it may keep."""
    more = "".join(LEARNING["TOGETHER"][attack])
    source = world.fill(LEARNING["MIXTURE"] + more, OPERATIONS=BY_NAME["architecture"].operations)
    result, without = judged("architecture", {"build_model": source}), honest("architecture")
    assert "ran: gated" in result.instructor["printed"] and without.metrics
    assert result.score <= without.score
    if "remembers" in attack:  # what it remembers is noise, which the recording may show or be refused for
        assert not result.metrics or result.metrics["distance"] > 0.9 * without.metrics["distance"]
    else:
        assert result.metrics == without.metrics
    got(attack, result.score - without.score, told(result))


def test_samples_do_not_help_one_another(judged, got):
    """The process that denoises could learn from what it is asked; it is asked again, in other company."""
    result = judged("architecture", {"build_model": LEARNING["COMPANY"]})
    assert not result.metrics and "sample i depends on other samples" in result.reason
    got("a denoiser that learns from its questions", result.gate or 0.0)


def test_each_wall_is_needed(world, judged, honest, monkeypatch):
    """Without it an attack reaches what it is after: the walls are not there for show."""
    with monkeypatch.context() as m:  # the answer's process goes on where another should begin
        m.setattr(learning.RecordedNetwork, "renew", lambda self, probe: None)
        source = world.fill(LEARNING["MIXTURE"] + LEARNING["QUESTIONS"], OPERATIONS=BY_NAME["architecture"].operations)
        result = judged("architecture", {"build_model": source})
        assert result.metrics["distance"] < 0.6 * honest("architecture").metrics["distance"]
    with monkeypatch.context() as m:  # samples are not asked again
        m.setattr(learning, "SAME", float("inf"))
        assert judged("architecture", {"build_model": LEARNING["COMPANY"]}).metrics
