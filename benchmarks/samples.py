"""Grades the sample submissions with several seeds: do right designs get full marks, and wrong ones fail?

    python benchmarks/samples.py --repeats 5        (about 3 minutes per repeat on two cores; --quick: one repeat;
                                                     --students: only these samples)

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from autograder import samples
from autograder.grading import batch

ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--quick", action="store_true", help="one repeat")
    p.add_argument("--students", nargs="+", choices=samples.STUDENTS, default=samples.STUDENTS, metavar="STUDENT")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--out", type=Path, help="keep the records here (default: a temporary folder)")
    a = p.parse_args(argv)
    repeats = 1 if a.quick else a.repeats
    totals = {"repeats": repeats, "right": 0, "right_with_full_marks": 0, "wrong": 0, "wrong_that_failed": 0}
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        out = a.out or Path(scratch)
        samples.write(out / "submitted", ROOT / "exercises", a.students)
        for seed in range(repeats):
            records = batch.grade(
                batch.find(out / "submitted", only=(samples.EXERCISE,)), out / f"seed{seed}", seed, a.jobs
            )
            for rec in records:
                student, score = rec["extra_data"]["student"], rec["score"]
                notebook = rec["extra_data"]["notebooks"]["conditioner"]
                print(f"seed {seed}  {student:22} {notebook['outcome']:10} {score:5g}  {notebook['reason']}")
                kind = "right" if student in samples.RIGHT else "wrong"
                totals[kind] += 1
                totals["right_with_full_marks"] += kind == "right" and score == rec["max_score"]
                totals["wrong_that_failed"] += kind == "wrong" and score <= rec["max_score"] / 2
                if kind == "wrong":
                    reasons[student] = notebook["reason"]
    print(json.dumps({**totals, "distinct_reasons": len(set(reasons.values()))}))


if __name__ == "__main__":
    main()
