"""Changed replies of every exercise: none ends without a score, none gains a point (benchmarks/fuzz.py tries more)."""

import random
from dataclasses import replace

import pytest
import torch

from autograder.authoring import fuzzing
from autograder.authoring.mutations import MUTATIONS
from autograder.authoring.replay import Replay, judged, scenes
from autograder.exercises import EXERCISES
from autograder.exercises.base import Failed

SLOW = ("architecture", "conditioner")  # to record; benchmarks/fuzz.py has them


@pytest.fixture(scope="module")
def recorded():
    torch.set_num_threads(1)
    every = scenes(*(e.name for e in EXERCISES.values() if e.name not in SLOW))
    return [s for s in every if "0.9999" not in s.name]  # an average of 11,000 steps takes a second each time


def test_no_changed_reply_takes_a_score_away_or_gains_one(recorded):
    runs = list(fuzzing.fuzz(recorded, 800, random.Random(5)))
    assert {r.mutation for r in runs} == set(MUTATIONS) and {r.scene.exercise.name for r in runs} >= {
        "prediction",
        "ema",
    }
    odd = [(r.scene.name, r.mutation, r.detail) for r in runs if r.outcome in ("infrastructure_error", "stopped")]
    assert odd == [] and max(r.gain for r in runs) <= 0
    assert {"full", "none", "invalid_output"} <= {r.outcome for r in runs}


def test_a_check_that_trusts_a_reply_is_found(recorded):
    """Three ways to trust one: the fuzz sees each, and the first two end as the answer's."""
    scene = next(s for s in recorded if s.name == "label_dropout: drop_labels: null_class or kept")

    def trusting(name):
        def run(probe, rng):
            about, out = probe.both("call")
            if name == "dtype" and (torch.zeros(200, dtype=torch.int64) @ out["out"]) < 0:
                raise Failed("")
            if name == "field" and about["kind"].startswith("N"):
                raise Failed("")
            if name == "machine" and "out" not in out:
                raise OSError("a file by the name that came back")

        return replace(scene, check=replace(scene.check, run=run))

    for name, outcome in (("dtype", "stopped"), ("field", "stopped"), ("machine", "infrastructure_error")):
        rng, found = random.Random(1), trusting(name)
        outcomes = {fuzzing.run(found, kind, rng, scene.points).outcome for _ in range(30) for kind in MUTATIONS}
        assert outcome in outcomes, name
        assert name == "machine" or "infrastructure_error" not in outcomes


def test_unchanged_replies_are_judged_as_they_were(recorded):
    for scene in recorded:
        if scene.check:
            assert judged(scene, Replay(scene.frames, lambda n, frame: frame)).score == scene.points
