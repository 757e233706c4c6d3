"""Do the checks see a single small mistake, wherever it is? Judges every first-order mutant of the model solutions.

    python benchmarks/machine_mutants.py [--answer q_sample] [--quick] [--right 2] [--again] [--report]

Records go to data/evidence/mutants.jsonl, and recorded mutants are not judged again, except that --again judges those
again that were not killed. --quick takes a random sample, in five minutes. --right N takes N mutants, drawn with a
fixed seed, of each other right answer in the bank instead of those of the model solutions. --report writes
docs/mutants.md from the records. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from tqdm.auto import tqdm

from autograder.authoring.machine import RIGHT, accepted, banks, judged, of_solution
from autograder.authoring.mutants import Bank
from autograder.authoring.operators import Mutant
from autograder.authoring.operators import mutants as all_mutants

ROOT = Path(__file__).resolve().parents[1]
RECORDS, PAGE = ROOT / "data/evidence/mutants.jsonl", ROOT / "docs/mutants.md"
QUICK, QUICK_S, SEED = 400, 300, 21
Job = tuple[Bank, Mutant, str]  # the last is the right answer it was made from, or "" for the model solution


def read() -> dict[tuple[str, str], dict]:
    """Return the newest record of each mutant, by (answer, digest of its source)."""
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.is_file() else []
    return {(r["answer"], r["mutant"]): r for r in map(json.loads, lines)}


def figures(records: list[dict]) -> dict[str, float]:
    count = Counter(r["outcome"] for r in records)
    allowed = sum((r["answer"], r["change"]) in accepted() for r in records if r["outcome"] == "survived")
    other = len(records) - count["equivalent"] - allowed
    survivors = count["survived"] - allowed + count["by chance"]
    return {
        **{"mutants": len(records), "equivalent": count["equivalent"], "right_too": allowed},
        **{"wrong": other, "lose_points": other - survivors, "survivors": survivors},
        "share": round(1 - survivors / other, 4) if other else 1.0,
    }


def page(records: list[dict], made: Counter, others: list[dict]) -> str:
    """Return docs/mutants.md. `made` counts each cell's mutants, judged or not; `others` are of other right answers."""
    rows = []
    for name in (*(b.answer for b in banks()), "all"):
        f = figures([r for r in records if name in ("all", r["answer"])])
        counts = " | ".join(f"{f[k]:,}" for k in ("mutants", "equivalent", "right_too", "wrong", "lose_points"))
        whole = made.total() if name == "all" else made[name]
        share = f"{100 * f['share']:.1f} %" if f["wrong"] else "–"
        rows.append(f"| `{name}` | {whole:,} | {counts} | {share} |")
    operators = []
    for operator, n in Counter(r["operator"] for r in records).most_common():
        f = figures([r for r in records if r["operator"] == operator])
        operators.append(f"| {operator} | {n:,} | {f['wrong']:,} | {f['lose_points']:,} |")
    let_go = [r for r in (*records, *others) if r["outcome"] in ("survived", "by chance")]
    named = {(r["answer"], r["change"]): accepted().get((r["answer"], r["change"])) for r in let_go}
    unknown = [f"- `{a}`: `{c}`" for (a, c), reason in named.items() if reason is None]
    known = [f"- `{a}`: `{c}`: {reason}" for (a, c), reason in named.items() if reason]
    lists = map("\n".join, (rows, operators, unknown or ["None."], known or ["None."]))
    text = OTHERS.format(**figures(others), seed=SEED) if others else NO_OTHERS
    return TEXT.format(*lists, **figures(records), others=text)


NO_OTHERS = "Mutants of the bank's other right answers were not judged."
OTHERS = """Of the mutants of the bank's other right answers, a sample was judged (`--right 3`, seed {seed}). Of
{mutants:,} judged, {equivalent:,} are equivalent and {right_too:,} are also right. Of the other {wrong:,},
{lose_points:,} lose points."""
TEXT = """# Mutants by machine

Written by `python benchmarks/machine_mutants.py --report`, from the sweep's records: do not edit.

First-order mutants of the model solutions, made by the operators of mutmut and cosmic-ray and by some operators
specific to this field (`autograder/authoring/operators.py`). Each is judged with three seeds, and must lose points with
every one. A mutant is equivalent if it replies to all questions of the checks exactly as the model solution does, with
two further seeds. Some others are also right, because the exercise leaves open what they change. Gates and time checks
are not included. Where fewer mutants were judged than made, the sweep of that cell is unfinished.

Of {mutants:,} mutants judged, {equivalent:,} are equivalent and {right_too:,} are also right. Of the other {wrong:,},
{lose_points:,} lose points.

| answer cell | made | judged | equivalent | also right | wrong | lose points | share |
|---|---|---|---|---|---|---|---|
{0}

**Other right answers.** {others}

Operators, for mutants of the model solutions only:

| operator | mutants | wrong | lose points |
|---|---|---|---|
{1}

**Wrong mutants that keep full marks:**

{2}

**Also right, and why:**

{3}
"""


def sample(n: int, banks: Iterable[Bank]) -> list[Job]:
    """Return `n` mutants of each right answer other than the model solution, in an order drawn with a fixed seed."""
    rng, drawn = random.Random(SEED), []
    for bank in banks:
        for source in bank.right.values():
            made = all_mutants(source)
            drawn += [(bank, m, source) for m in rng.sample(made, min(n, len(made)))]
    return rng.sample(drawn, len(drawn))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--answer", action="append", help="default: all")
    p.add_argument("--quick", action="store_true", help=f"a random {QUICK}, at most {QUICK_S} seconds")
    p.add_argument("--right", type=int, metavar="N", help="N mutants of each other right answer")
    p.add_argument("--again", action="store_true", help="judge all but the killed again")
    p.add_argument("--report", action="store_true", help="write docs/mutants.md, and judge nothing")
    a = p.parse_args()
    torch.set_num_threads(1)
    some = list(banks(*(a.answer or ())))
    todo: list[Job] = sample(a.right, some) if a.right else [(b, m, "") for b in some for m in of_solution(b)]
    here = {(f"{RIGHT}{b.answer}" if original else b.answer, m.digest) for b, m, original in todo}
    known = read()
    records = {key: r for key, r in known.items() if key in here}
    if a.report:
        others = [r for key, r in known.items() if key not in here and r["answer"].startswith(RIGHT)]
        PAGE.write_text(page(list(records.values()), Counter(b.answer for b, _, _ in todo), others), encoding="utf-8")
    elif a.quick:
        todo = random.Random(time.time_ns()).sample(todo, min(QUICK, len(todo)))
        records = {}
    if not a.report:
        done = {key for key, r in records.items() if not a.again or r["outcome"] == "killed"}
        start = time.monotonic()
        with RECORDS.open("a", encoding="utf-8") as file:
            for bank, m, original in tqdm(todo, unit="mutant", disable=not sys.stderr.isatty()):
                answer = f"{RIGHT}{bank.answer}" if original else bank.answer
                if (answer, m.digest) in done or (a.quick and time.monotonic() - start > QUICK_S):
                    continue
                outcome, by = judged(bank, m, original)
                r = {"answer": answer, "mutant": m.digest, "operator": m.operator, "change": m.change}
                r |= {"outcome": outcome, "by": by}
                if outcome in ("survived", "by chance") and (answer, m.change) not in accepted():
                    print(f"{outcome}: {answer}, {m.operator}: {m.change} {by}", flush=True)
                file.write(json.dumps(r) + "\n")
                file.flush()
                records[answer, m.digest] = r
    print(json.dumps(figures(list(records.values()))))


if __name__ == "__main__":
    main()
