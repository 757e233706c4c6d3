"""Seconds and peak memory of each stage of grading one gated submission, or the number of submissions per minute.

    python benchmarks/grading.py [--quick]
    python benchmarks/grading.py --every        the model solution of every exercise: processor seconds
    python benchmarks/grading.py --batch 200 [--jobs 2] [--notebook schedules]
    python benchmarks/grading.py --starts 10 [--jobs 2] [--notebook schedules]

`--batch N` grades N copies of a model solution as N students. It gives submissions per minute, the share of the time
spent on starting children (bubblewrap, Python, torch), peak memory in MiB, and the processor seconds per submission,
which unlike the rest do not depend on what else the machine does. `--starts N` does that twice, once with answers that
each start torch themselves and once with forked answers, and gives the ratio.

Otherwise the slowest reference design (cross-attention) is graded after a burn-in; --quick skips the repeats. The last
line is one JSON object: median seconds per stage, and the child's peak resident memory in MiB.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from autograder import samples
from autograder.authoring.references import cells
from autograder.exercises import EXERCISES
from autograder.exercises.conditioner import EXERCISE
from autograder.grading import batch
from autograder.grading.judging import judge_notebook
from autograder.intake.extract import grade_id
from autograder.sandbox import forks
from autograder.sandbox.watchdog import Watchdog

ROOT = Path(__file__).resolve().parents[1]
IDLE = 0.5  # load of the last minute: above it, wall-clock seconds mostly show what else the machine was doing


def submission(folder: Path, design: str) -> Path:
    """Write a notebook that holds a reference design, and return its path."""
    nb = json.loads(samples.notebook("zoe-blank", ROOT / "exercises"))
    answers = cells(EXERCISE.name, design)
    for cell in nb["cells"]:
        if grade_id(cell) in answers:
            cell["source"] = answers[grade_id(cell)]
    path = folder / "conditioner.ipynb"
    path.write_text(json.dumps(nb), encoding="utf-8")
    return path


def every(load: float) -> dict[str, Any]:
    """Return the processor seconds to grade the model solution of each exercise, including child start and gate.

    The median and the slowest of the gated ones are given too. If `load` says that the machine was idle before,
    wall-clock seconds are included.
    """
    took: dict[str, Any] = {"load_before": round(load, 1), "cpu_s": {}} | ({"seconds": {}} if load < IDLE else {})
    kinds = [kind for kind in ("cpu_s", "seconds") if kind in took]
    for exercise in EXERCISES.values():
        path = ROOT / "solutions" / exercise.assignment / f"{exercise.name}.ipynb"
        grader, began, own = batch.make_grader(exercise, seed=0), time.perf_counter(), time.process_time()
        with children_counted() as children:
            result, _ = judge_notebook(exercise, path, grader)
        used = time.process_time() - own + sum(children.values())
        for kind, value in zip(kinds, (used, time.perf_counter() - began)):
            took[kind][exercise.name] = round(value, 2)
        score = f"{result.score:g} of {exercise.max_score:g}"
        print(f"{exercise.name:16} {used:6.1f} processor seconds  {score}", flush=True)
    gated = [e.name for e in EXERCISES.values() if e.gate_cell]
    for kind in kinds:
        values = [took[kind][name] for name in gated]
        took[f"gated_{kind}"] = {"median": statistics.median(values), "slowest": max(values)}
    if load >= IDLE:
        print(f"the machine was not idle (load {load:.1f}): no wall-clock seconds")
    return took


def starts(n: int, jobs: int, notebook: str) -> dict[str, Any]:
    """Return the submissions per minute if answers start afresh, and if they are forked.

    `two_idle_cores` is the rate on two idle cores that follows from the processor seconds of one submission. With forks
    these include the single import of torch, so use many submissions.
    """
    found: dict[str, Any] = {}
    for name, fewest in (("fresh", n + 1), ("forked", 1)):
        with patch.object(forks, "FEWEST", fewest):
            graded = grade_class(n, jobs, notebook)
        cpu_s = graded["cpu_s_each"]
        found[name] = {"per_minute": graded["per_minute"], "cpu_s_each": cpu_s, "two_idle_cores": round(120 / cpu_s)}
    found["ratio"] = {k: round(found["forked"][k] / found["fresh"][k], 2) for k in ("per_minute", "two_idle_cores")}
    return found


def grade_class(n: int, jobs: int, notebook: str) -> dict[str, float | int | str]:
    """Grade a class of n in a scratch folder as `autograder grade` does, except for tables and gradebook."""
    exercise = next(e for e in EXERCISES.values() if e.name == notebook)
    solution = (ROOT / "solutions" / exercise.assignment / f"{notebook}.ipynb").read_bytes()
    with tempfile.TemporaryDirectory() as scratch:
        submitted, out = Path(scratch, "submitted"), Path(scratch, "grades")
        for i in range(n):
            folder = submitted / f"student-{i:04}" / exercise.assignment
            folder.mkdir(parents=True)
            (folder / f"{notebook}.ipynb").write_bytes(solution)
        out.mkdir()
        load, began, own, before = os.getloadavg()[0], time.perf_counter(), time.process_time(), waited_for()
        with children_counted() as children:
            records = batch.grade(batch.find(submitted, only=(notebook,)), out, seed=0, jobs=jobs)
        took, used = time.perf_counter() - began, time.process_time() - own
        # A zygote has reaped its forks, even killed ones; for other children the system may know less than we do.
        used += max(sum(children.values()), waited_for() - before)
        private = [json.loads(file.read_text(encoding="utf-8")) for file in out.glob("*/*/instructor.json")]
    timings = [rec["extra_data"]["notebooks"][notebook]["timings"] for rec in records]
    if {rec["score"] for rec in records} != {exercise.max_score}:
        raise SystemExit(f"a model solution of {notebook} did not get its {exercise.max_score} points")
    return {
        "submissions": n,
        "notebook": notebook,
        "jobs": jobs,
        "seconds": round(took, 1),
        "per_minute": round(60 * n / took, 1),
        "start_share": round(sum(t["start"] for t in timings) / sum(t["total"] for t in timings), 2),
        "cpu_s_each": round(used / n, 2),
        "peak_child_mib": round(max(p[notebook]["peak_bytes"] for p in private) / 2**20),
        "peak_grader_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),  # KiB on Linux
        "cores": os.cpu_count() or 0,
        "load_before": round(load, 1),  # above the number of cores, other programs take a share
    }


def waited_for() -> float:
    """Return the processor seconds of processes that this one or its children have reaped."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@contextlib.contextmanager
def children_counted() -> Iterator[dict[int, float]]:
    """Yield the processor seconds of every child that ends meanwhile. The system loses those of killed processes."""
    seconds: dict[int, float] = {}
    close = Watchdog.close

    def noted(watchdog: Watchdog) -> None:
        seconds[id(watchdog)] = watchdog._cpu_s
        kept.append(watchdog)  # so that its id is not reused
        close(watchdog)

    kept: list[Watchdog] = []
    with patch.object(Watchdog, "close", noted):
        yield seconds


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="one run instead of three")
    p.add_argument("--every", action="store_true", help="one run of every exercise")
    p.add_argument("--batch", type=int, metavar="N", help="N submissions of an ungated exercise")
    p.add_argument("--starts", type=int, metavar="N", help="N submissions, with answers started afresh and forked")
    p.add_argument("--jobs", type=int, default=2, help="submissions at a time, for --batch and --starts")
    p.add_argument("--notebook", default="schedules", help="for --batch and --starts")
    a = p.parse_args()
    torch.set_num_threads(1)
    if a.batch:
        return print(json.dumps(grade_class(a.batch, a.jobs, a.notebook)))
    if a.starts:
        return print(json.dumps(starts(a.starts, a.jobs, a.notebook)))
    rows, load = [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        samples.write(folder / "burn-in", ROOT / "exercises", ("carl-ignores-label",))
        grader = batch.make_grader(EXERCISE, seed=0)
        judge_notebook(EXERCISE, next((folder / "burn-in").rglob("*.ipynb")), grader)
        if a.every:
            return print(json.dumps(every(load)))
        path = submission(folder, "cross_attention")
        for _ in range(1 if a.quick else 3):
            result, _ = judge_notebook(EXERCISE, path, grader)
            rows.append({**result.timings, "peak_mib": result.instructor["peak_bytes"] / 2**20})
            print(result.outcome, result.score, rows[-1])
    print(json.dumps({k: round(statistics.median(r[k] for r in rows), 2) for k in rows[0]}))


if __name__ == "__main__":
    main()
