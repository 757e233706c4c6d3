"""benchmarks/gate_calibration.py: what it plans, and what benchmarks/gate_figures.py works out from its runs."""

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as m:
        m.syspath_prepend(str(BENCHMARKS))  # it takes the seconds of children from its neighbour
        spec = importlib.util.spec_from_file_location("gate_calibration", BENCHMARKS / "gate_calibration.py")
        module = importlib.util.module_from_spec(spec)
        m.setitem(sys.modules, "gate_calibration", module)  # where its dataclasses look for themselves
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def worked_out(bench):
    return sys.modules["gate_figures"]


def test_the_interval_of_a_rank_correlation_covers_the_truth_19_times_in_20(worked_out):
    rng, n, hits, trials = np.random.default_rng(3), 14, 0, 800
    truth = 6 / np.pi * np.arcsin(0.8 / 2)  # Spearman's rho of two normals with correlation 0.8
    for _ in range(trials):
        x = rng.normal(size=n)
        y = 0.8 * x + 0.6 * rng.normal(size=n)
        low, high = worked_out.spearman_interval(float(spearmanr(x, y)[0]), n)
        hits += low <= truth <= high
    assert 0.92 < hits / trials < 0.98


def row(kind, design, distance):
    metrics = {"judge": {"distance": distance}}
    return {"exercise": "conditioner", "kind": kind, "design": design, "metrics": metrics}


def test_long_runs_are_compared_with_runs_that_were_not_stopped(worked_out):
    """What was stopped as soon as it was within the limits says nothing of the order."""
    designs = "abcdef"
    rows = [row("long", d, i) for i, d in enumerate(designs)] + [row("whole", d, 10 + i) for i, d in enumerate(designs)]
    rows += [row("right", d, -i) for i, d in enumerate(designs)]
    found = worked_out.correlations(rows)["conditioner"]
    assert found["rho"] == 1.0 and found["designs"] == 6
    assert worked_out.correlations(rows, one_look=True)["conditioner"]["rho"] == -1.0
    assert worked_out.correlations(rows[:3] + rows[6:]) == {}  # three designs have no interval
    failed = [{k: v for k, v in r.items() if k != "metrics"} | {"failed": "x"} for r in rows[:1]]
    assert worked_out.correlations(failed + rows[1:])["conditioner"]["designs"] == 5


def test_a_long_run_is_ten_times_as_long_and_measured_once(bench):
    for name, one_look in itertools.product(bench.GATED, (True, False)):
        made = bench.setting(name, one_look)
        long = bench.longer(made)
        assert long.ends == (10 * made.enough,) and long.train["steps"] == long.ends[0]
        assert made.enough in made.harness.ends


def test_every_design_that_is_run_for_long_exists_and_they_are_enough(bench, worked_out):
    for name, wanted in bench.LONG.items():
        assert set(wanted) <= set(bench.designs(worked_out.BY_NAME[name])) and len(set(wanted)) == len(wanted)
        assert len(wanted) >= (12 if name == "conditioner" else 6)


def test_runs_for_the_order_are_planned_after_the_others_and_a_short_one_before_its_long_one(bench, worked_out):
    exercises = [worked_out.BY_NAME["conditioner"]]
    kinds = [job.kind for job in bench.plan(exercises, range(1), one_look=False, long=True)]
    long = 2 * len(bench.LONG["conditioner"])
    assert set(kinds[:-long]) == {"right", "wrong"} and kinds[-long:] == ["whole", "long"] * (long // 2)
    assert {job.kind for job in bench.plan(exercises, range(0), one_look=True, long=True)} == {"long"}
