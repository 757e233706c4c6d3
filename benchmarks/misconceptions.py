"""Are known mistakes named correctly? Tries it on machine mutants that lose points, from machine_mutants.py's records.

    python benchmarks/misconceptions.py [--n 300] [--answer q_sample] [--half tuning]

A name is right if the known mistake also predicts at least 95 % of the mutant's telling replies to freshly drawn
questions. The certainty required for naming was chosen on one half of the mutants, the tuning half; the figures are
those of the other. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from collections import Counter
from pathlib import Path

import torch
from gate_figures import wilson
from tqdm.auto import tqdm

from autograder.authoring.machine import banks, of_solution, source_of
from autograder.authoring.misconceptions import agreement, examined, in_process, named, telling

RECORDS = Path(__file__).resolve().parents[1] / "data/evidence/mutants.jsonl"
NEW_SEED = 5  # for the questions with which a name is tested
RIGHT = 0.95  # share of the telling replies to these that must agree


def half(answer: str, source: str) -> str:
    return ("tuning", "held-out")[hashlib.sha256(f"{answer}\n{source}".encode()).digest()[0] % 2]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--n", type=int, default=300, help="mutants, drawn at random")
    p.add_argument("--answer", action="append", help="default: all that are judged one by one")
    p.add_argument("--half", choices=("tuning", "held-out"), default="held-out")
    a = p.parse_args()
    torch.set_num_threads(1)
    lines = RECORDS.read_text(encoding="utf-8").splitlines()
    records = {(r["answer"], r["mutant"]): r["by"] for r in map(json.loads, lines)}
    found = [
        (b, m)
        for b in banks(*(a.answer or ()))
        for m in of_solution(b)
        if not b.exercise.judged_as_pair
        and records.get((b.answer, m.digest), "").startswith(b.answer)
        and half(b.answer, m.source) == a.half
    ]
    counts = Counter()
    for bank, m in tqdm(random.Random(0).sample(found, min(a.n, len(found))), disable=not sys.stderr.isatty()):
        source = source_of(bank, m.source)
        best, _ = named(bank, source, seed=0)
        if best:
            asked = examined(bank, source, NEW_SEED, in_process(bank))[1]
            new = agreement(bank, best.name, telling(bank, asked))
            right = new.agree >= RIGHT * new.telling
            counts["right" if right else "false"] += 1
            sure = f"{best.agree} of {best.telling} replies, {new.agree} of {new.telling} new ones"
            print(f"{'right' if right else 'FALSE'}: {bank.answer}: {m.change}: “{best.name}” ({sure})", flush=True)
        else:
            counts["unnamed"] += 1
    given = counts["right"] + counts["false"]
    figures = {"half": a.half, "mutants": sum(counts.values()), "named": given, "right": counts["right"]}
    share = (
        {"precision": round(counts["right"] / given, 4), "interval": wilson(counts["right"], given)} if given else {}
    )
    print(json.dumps({**figures, **share}))


if __name__ == "__main__":
    main()
