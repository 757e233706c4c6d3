"""The tracks' benchmark: it resumes from its rows, torn ones aside, and says which pairs are resolved."""

import importlib.util
import json
from pathlib import Path

import pytest

from autograder.challenges import figures, quick
from autograder.challenges.examples import examples
from autograder.challenges.tracks import TRACKS

ROOT = Path(__file__).resolve().parents[3]
T = TRACKS["prediction"]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("tracks_benchmark", ROOT / "benchmarks/tracks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_goes_on_where_it_stopped(bench, tmp_path, monkeypatch):
    file = tmp_path / "runs.jsonl"
    monkeypatch.setattr(quick, "run", lambda job: quick.Outcome(job.seed, 1.0, {"distance": 1.0}))
    plan = list(bench.plan([T], 2, (), file, again=True))
    assert len(plan) == 8 and [i for _, _, i in plan] == [0] * 4 + [1] * 4
    for t, e, i in plan[:3]:
        bench.append(file, bench.measure(t, e, i, True))
    with file.open("a") as f:
        f.write('{"track": "predic')  # a run that was killed as it wrote
    assert list(bench.plan([T], 2, (), file, again=True)) == plan[3:]
    bench.append(file, bench.measure(*plan[3], True))
    assert len(figures.rows(file)) == 4
    assert list(bench.plan([T], 1, ("baseline",), file, again=True)) == []


def test_what_the_calibration_trained_is_not_trained_again(bench, tmp_path):
    plan = list(bench.plan([T], 5, (), tmp_path / "none"))
    assert [(e.name, i) for _, e, i in plan] == [("blend", i) for i in range(5)]


def test_pairs_are_resolved_where_the_interval_leaves_out_zero(bench, tmp_path, capsys):
    file = tmp_path / "runs.jsonl"
    about = {"track": T.name, "harness": figures.harness_digest(T), "judge": figures.judge_name(), "design": "blend"}
    known = figures.known_runs(T, file)["epsilon"]
    for i in range(5):
        seed = figures.seed_of(T, i)
        metrics = {"distance": known[seed]["distance"] - 2 - 0.1 * i, "heldout_loss": known[seed]["heldout_loss"]}
        bench.append(file, {**about, "seed": seed, "metrics": metrics})
    found = bench.report(T, file)
    assert found["ranking"][0] == "blend" and not found["outstanding"]
    by = {(p["metric"], p["a"], p["b"]): p for p in found["pairs"]}
    assert by["distance", "epsilon", "blend"]["resolved"] and by["distance", "epsilon", "blend"]["verdict"] == "worse"
    assert not by["distance", "x0pred", "vpred"]["resolved"]
    assert by["distance", "epsilon", "blend"]["difference"] == pytest.approx(2.2)
    text = capsys.readouterr().out
    assert "epsilon worse than blend" in text and "x0pred and vpred not resolved" in text
    json.dumps(found)


def test_every_example_is_planned(bench, tmp_path):
    plan = list(bench.plan(list(TRACKS.values()), 1, (), tmp_path / "none", again=True))
    assert [(t.name, e.name) for t, e, _ in plan] == [(t, e.name) for t in TRACKS for e in examples(t)]
