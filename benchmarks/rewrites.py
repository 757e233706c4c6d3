"""Do right answers keep their points, however they are written? Judges rewrites that change nothing, drawn from seeds.

    python benchmarks/rewrites.py [--n 10000] [--quick] [--report]

Rewrite i is drawn from seed i and judged by its exercise's checks with the same seed, without gates and time checks.
Portions of 50 seeds are stored in data/evidence/rewrites.jsonl as they finish, and are not judged again. If a rewrite
loses points, `alike` says whether it gives the same replies as its original to all the original's questions.
--quick judges 200 fresh seeds and stores nothing. --report prints a table. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

import torch
from tqdm.auto import tqdm

from autograder.authoring.machine import equivalent, first_failure
from autograder.authoring.rewrites import KINDS, all_banks, drawn

RECORDS = Path(__file__).resolve().parents[1] / "data/evidence/rewrites.jsonl"
PORTION = 50


def portion(first: int, size: int = PORTION) -> dict:
    """Judge the seeds first ... first + size - 1, and return their record."""
    kinds, cells, digests, failed, start = Counter(), Counter(), [], [], time.process_time()
    for seed in range(first, first + size):
        r = drawn(seed)
        kinds.update(r.kinds)
        cells[r.bank.answer] += 1
        digests.append(r.digest)
        if check := first_failure(r.bank, r.source, seed):
            row = {"seed": seed, "cell": r.bank.answer, "answer": r.answer, "kinds": r.kinds, "lost": check}
            failed.append({**row, "alike": equivalent(r.bank, r.source, r.original)})
            print(f"lost points: {failed[-1]}", flush=True)
    counts = {"kinds": dict(sorted(kinds.items())), "cells": dict(sorted(cells.items()))}
    seconds = round(time.process_time() - start, 1)
    return {
        "first": first,
        "rewrites": size,
        "failed": failed,
        **counts,
        "cpu_s": seconds,
        "digests": " ".join(digests),
    }


def read() -> dict[int, dict]:
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.is_file() else []
    return {r["first"]: r for r in map(json.loads, lines)}


def figures(records: list[dict]) -> dict[str, float]:
    failed = [f for r in records for f in r["failed"]]
    distinct = {d for r in records for d in r["digests"].split()}
    counts = {"rewrites": sum(r["rewrites"] for r in records), "distinct": len(distinct), "lost_points": len(failed)}
    alike = sum(f["alike"] for f in failed)
    return {**counts, "alike": alike, "cpu_s": round(sum(r["cpu_s"] for r in records))}


def report(records: list[dict]) -> str:
    """Return a table of how many rewrites each kind and each cell has."""
    kinds, cells = (sum((Counter(r[what]) for r in records), Counter()) for what in ("kinds", "cells"))
    rows = [f"{name:24}{kinds[name]:6}" for name in sorted(KINDS)]
    return "\n".join([*rows, "", *(f"{b.answer:24}{cells[b.answer]:6}" for b in all_banks())])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--n", type=int, default=10_000)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--report", action="store_true", help="of what is stored, and judge nothing")
    a = p.parse_args()
    torch.set_num_threads(1)
    records = read()
    if a.quick:
        records = {0: portion(time.time_ns() // 1_000, 200)}
    elif a.report:
        print(report(list(records.values())))
    else:
        todo = [first for first in range(0, a.n, PORTION) if first not in records]
        for first in tqdm(todo, unit="portion", disable=not sys.stderr.isatty()):
            records[first] = portion(first)
            with RECORDS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(records[first]) + "\n")
    print(json.dumps(figures(list(records.values()))))


if __name__ == "__main__":
    main()
