"""Seconds and peak memory of each stage of grading one gated submission.

    python benchmarks/grading.py [--quick]
    python benchmarks/grading.py --every        the model solution of every exercise: seconds

Grades the slowest reference design (cross-attention) after a burn-in; --quick skips the repeat. The last line is one
JSON object: medians of seconds a stage, and the child's peak resident memory in MiB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

from autograder import grading, samples
from autograder.exercises import EXERCISES
from autograder.exercises.conditioner import EXERCISE
from autograder.extract import grade_id
from autograder.judging import judge_notebook
from autograder.references import cells

ROOT = Path(__file__).resolve().parents[1]


def submission(folder: Path, design: str) -> Path:
    """A notebook that holds a reference design."""
    nb = json.loads(samples.notebook("zoe-blank", ROOT / "exercises"))
    answers = cells(EXERCISE.name, design)
    for cell in nb["cells"]:
        if grade_id(cell) in answers:
            cell["source"] = answers[grade_id(cell)]
    path = folder / "conditioner.ipynb"
    path.write_text(json.dumps(nb), encoding="utf-8")
    return path


def every() -> dict[str, float]:
    """Seconds to grade the model solution of each exercise, child's start and gate included."""
    took = {}
    for exercise in EXERCISES.values():
        path = ROOT / "solutions" / exercise.assignment / f"{exercise.name}.ipynb"
        grader, began = grading.make_grader(exercise, seed=0), time.perf_counter()
        result, _ = judge_notebook(exercise, path, grader)
        took[exercise.name] = round(time.perf_counter() - began, 2)
        print(
            f"{exercise.name:16} {took[exercise.name]:6.1f} s  {result.score:g} of {exercise.max_score:g}", flush=True
        )
    return took


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="one run in place of three")
    p.add_argument("--every", action="store_true", help="one run of every exercise")
    a = p.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        samples.write(folder / "burn-in", ROOT / "exercises", ("carl-ignores-label",))
        grader = grading.make_grader(EXERCISE, seed=0)
        judge_notebook(EXERCISE, next((folder / "burn-in").rglob("*.ipynb")), grader)
        if a.every:
            return print(json.dumps(every()))
        path = submission(folder, "cross_attention")
        for _ in range(1 if a.quick else 3):
            result, _ = judge_notebook(EXERCISE, path, grader)
            rows.append({**result.timings, "peak_mib": result.instructor["peak_bytes"] / 2**20})
            print(result.outcome, result.score, rows[-1])
    print(json.dumps({k: round(statistics.median(r[k] for r in rows), 2) for k in rows[0]}))


if __name__ == "__main__":
    main()
