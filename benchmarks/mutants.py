"""Do the checks know right from wrong? Judges every known answer in the mutant bank with several seeds, in-process.

    python benchmarks/mutants.py [--seeds 10] [--exercise schedules] [--quick]

A mutant is caught if it loses, with every seed, all the points that it should. A right answer fails if it loses any
with any seed. Prints what went wrong; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter

import torch
from tqdm.auto import tqdm

from autograder.authoring import mutants


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seeds", type=int, default=10)
    p.add_argument("--exercise", choices=mutants.NAMES, action="append", help="default: all")
    p.add_argument("--quick", action="store_true", help="one seed")
    a = p.parse_args()
    torch.set_num_threads(1)
    banks = list(mutants.banks(*(a.exercise or ())))
    let_go, punished = Counter(), Counter()
    for seed in tqdm(range(1 if a.quick else a.seeds), unit="seed", disable=not sys.stderr.isatty()):
        for bank in banks:
            for name, passed in mutants.survivors(bank, seed).items():
                let_go[name] += 1
                print(f"seed {seed}: not caught: {bank.exercise.name}, {name}; passed: {', '.join(passed)}")
            for name, failed in mutants.victims(bank, seed).items():
                punished[name] += 1
                print(f"seed {seed}: right answer failed: {bank.exercise.name}, {name}; {failed}")
    wrong, right = sum(len(b.wrong) for b in banks), sum(len(b.right) for b in banks)
    figures = {"cells": len(banks), "mutants": wrong, "mutants_caught": wrong - len(let_go)}
    print(json.dumps({**figures, "right_answers": right, "right_answers_failed": len(punished)}))


if __name__ == "__main__":
    main()
