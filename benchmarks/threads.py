"""How far a gate's metrics move if grader and child compute with two threads, which add sums in another order.

    python benchmarks/threads.py [--out data/gates/threads.json] [--only EXERCISE]

For every gate, one reference design is trained with a seed from its calibration, which used one thread, and compared
with the run on record. If a gate has several looks, this is repeated with them, up to the last one that references
reach. Before that, the cheapest design is run again with one thread, to make sure that this machine reproduces the
recorded numbers. Finished runs are stored in the file, which also holds some in which only the child had two threads.
The last line is one JSON object: for each gate and metric, the largest factor by which two threads moved it.

The share of copies was redefined after the calibration (near-copies of held-out images now count as well). Its change
between two values below 0.02 comes from that, and is far below the limits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from functools import partial
from pathlib import Path

import torch

from autograder.authoring import calibrate
from autograder.exercises import EXERCISES, gate_of
from autograder.exercises.base import Exercise
from autograder.gate.bands import turned
from autograder.gate.looking import unlimited
from autograder.grading.grader import band_file
from ddpm_core.checkpoint import write_text

PLAN = (("prediction", "v", 1), ("prediction", "v", 2), ("conditioner", "add", 2), ("architecture", "flat", 2))


def recorded(exercise: Exercise, design: str, one_look: bool) -> dict:
    """Return the calibration's first run of a design, with one thread."""
    runs = json.loads(band_file(exercise, one_look).read_text(encoding="utf-8"))["runs"]
    return next(r for r in runs if r["design"] == design and r["rerun"] == 0)


def compare(exercise: Exercise, design: str, threads: int, one_look: bool) -> dict:
    """Return both runs' metrics at the end by the judge of record, where less is better."""
    before = recorded(exercise, design, one_look)
    judges = calibrate.load_judges(("judge",))
    torch.set_num_threads(threads)  # for this process, which does most of a gate's sums; the child's are set below
    gate = gate_of(exercise.name)
    harness = gate.harness if one_look else gate.graded()[0]
    what = calibrate.Candidate(exercise, design, threads=threads)
    stop = unlimited if one_look else partial(calibrate.enough, gate=gate, role="reference")
    after = calibrate.one_run(what, before["seed"], harness, judges, stop)[-1].metrics
    about = {
        "exercise": exercise.name,
        "design": design,
        "seed": before["seed"],
        "threads": threads,
        "looks": len(harness.ends),
    }
    about["grader_threads"] = torch.get_num_threads()
    return about | {"one_thread": turned(before["metrics"]["judge"]), "again": turned(after["judge"])}


def factor(run: dict, metric: str, floor: float = 1e-3) -> float:
    """Return the factor by which a metric moved; 1 if it did not. Values below `floor` count as equal to it."""
    a, b = (max(run[which][metric], floor) for which in ("one_thread", "again"))
    return max(a / b, b / a)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=Path("data/gates/threads.json"))
    p.add_argument("--only", help="only this exercise")
    a = p.parse_args()
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}
    stored = json.loads(a.out.read_text(encoding="utf-8")) if a.out.is_file() else {"runs": []}
    exercises = {e.name: e for e in EXERCISES.values()}
    plan = [(*p, True) for p in PLAN] + [(*p, False) for p in PLAN if gate_of(p[0]).sequential]
    for name, design, threads, one_look in plan:
        looks = 1 if one_look else len(gate_of(name).sequential.ends)
        done = [
            (r["exercise"], r["design"], r["threads"], r["grader_threads"], r.get("looks", 1)) for r in stored["runs"]
        ]
        if (name, design, threads, threads, looks) not in done and a.only in (None, name):
            run = compare(exercises[name], design, threads, one_look)
            stored |= {"command": "python benchmarks/threads.py", **machine, "runs": [*stored["runs"], run]}
            write_text(a.out, json.dumps(stored, indent=1) + "\n")
            print(name, design, f"{threads} thread(s)", {k: round(factor(run, k), 4) for k in run["again"]}, flush=True)
    two: dict[str, dict[str, float]] = {}
    for run in (r for r in stored["runs"] if r["threads"] == 2):
        worst = two.setdefault(run["exercise"], {})
        worst |= {k: max(worst.get(k, 1.0), round(factor(run, k), 4)) for k in run["again"]}
    print(json.dumps(two))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\nthreads: interrupted; the same command goes on") from None
