"""The limits of the gates hold with another number of threads: measured by benchmarks/threads.py."""

import json

import pytest

from autograder.exercises import EXERCISES, gate_of
from autograder.gate.bands import FLOOR, load_bands, turned
from autograder.grading.grader import band_file
from ddpm_core.config import DATA_DIR

RUNS = json.loads((DATA_DIR / "gates/threads.json").read_text(encoding="utf-8"))["runs"]
GATED = {e.name: e for e in EXERCISES.values() if e.gate_cell}


def moved(run, metric):
    """The factor between two runs of one seed; what lies below the gate's floor counts as the floor."""
    a, b = (max(run[which][metric], FLOOR.get(metric, 1e-9)) for which in ("one_thread", "again"))
    return max(a / b, b / a)


# A gate with `enough` trains the same network in the same way as at its one look, which is compared.
CASES = [(n, True) for n in GATED] + [(n, False) for n in GATED if gate_of(n).sequential and not gate_of(n).enough]


@pytest.mark.parametrize(("name", "one_look"), CASES)
def test_two_threads_move_a_metric_by_less_than_the_margin_of_its_limit(name, one_look):
    gate, file = gate_of(name), band_file(GATED[name], one_look)
    bands, stored = load_bands(file, "judge"), json.loads(file.read_text())
    looks = len((gate.harness if one_look else gate.sequential).ends)
    runs = [r for r in RUNS if r["exercise"] == name and r["threads"] == 2 and r.get("looks", 1) == looks]
    assert runs, f"python benchmarks/threads.py --only {name}"
    for metric in gate.controls if one_look else gate.decisive:
        references = [turned(r["metrics"]["judge"])[metric] for r in stored["runs"] if r["role"] == "reference"]
        margin = bands[metric].full / max(*references, FLOOR.get(metric, 0.0))
        for run in runs:
            assert moved(run, metric) < margin, (metric, moved(run, metric), margin)
            assert run["one_thread"] in [turned(r["metrics"]["judge"]) for r in stored["runs"]]  # of this calibration


def test_the_same_number_of_threads_gives_the_same_metrics():
    again = [r for r in RUNS if r["threads"] == 1]
    assert again and all(r["one_thread"] == r["again"] for r in again)
