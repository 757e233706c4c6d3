"""How often does the reference gate err? Fresh runs of right designs and of known-bad ones, over all gated exercises.

    python benchmarks/gate_calibration.py                (goes on where it stopped)
    python benchmarks/gate_calibration.py --quick        (two runs an exercise)
    python benchmarks/gate_calibration.py --report       (the figures of the runs so far)

Right designs are not only those that the limits were made from; no run is one of those. Each run is appended to
data/gates/runs.jsonl as soon as it is done, so it may be stopped at any time. A false fail is a right design that does
not get full credit, a false pass a known-bad one that gets any. The last line is one JSON object; rates come with
Wilson's 95 % intervals, over all right designs and over those that set no limit; seconds are processor seconds of
training and looks (grader and child), which do not hang on what else the machine does.

`--one-look` is about the run of the challenge tracks, which is measured once, at its end. There `--long` adds runs ten
times longer, with which its order of designs is compared: Spearman's rank correlation of the Fréchet distances (means
over the short runs), averaged over the exercises.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import fmean, median

import torch
from grading import children_counted
from scipy.stats import spearmanr

from autograder.authoring import mutants
from autograder.authoring.calibrate import Candidate, load_judges, one_run
from autograder.authoring.references import cells, names
from autograder.exercises import EXERCISES, gate_of
from autograder.exercises.base import Exercise, Failed
from autograder.gate.bands import Band, judge_run, load_bands
from autograder.gate.harness import Harness, describe
from autograder.gate.sequential import decided
from autograder.grading.grader import band_file
from autograder.intake import model_solutions
from autograder.sandbox.limits import Failure
from ddpm_core.checkpoint import digest
from ddpm_core.streams import derive_seed
from ddpm_tools.outputs import json_text

RUNS = Path(__file__).resolve().parents[1] / "data/gates/runs.jsonl"
BY_NAME = {e.name: e for e in EXERCISES.values() if e.gate_cell}
GATED = tuple(BY_NAME)
LONGER = 10
LONG = {  # enough designs for an order, and few enough for an afternoon
    "conditioner": ("add", "adaln_zero", "cross_attention", "film", "ignored"),
    "prediction": ("epsilon", "v", "x0", "flow"),
    "architecture": ("own_unet", "flat", "pointwise", "the library's blocks, zero at the end"),
}


@dataclass(frozen=True)
class Setting:
    """What runs are made with; those with another `key` say nothing about it. Where a run stops hangs on the limits."""

    harness: Harness
    limits: dict[str, Band]
    key: str


@dataclass(frozen=True)
class Job:
    """One run to be made."""

    exercise: Exercise
    design: str
    kind: str  # right, wrong or long
    rerun: int
    answer: dict[str, str]
    one_look: bool = False

    @property
    def key(self) -> tuple:
        return self.exercise.name, self.design, self.kind, self.rerun, setting(self.exercise.name, self.one_look).key


@cache
def setting(name: str, one_look: bool) -> Setting:
    """Of an exercise's submissions, or of its challenge track."""
    gate = gate_of(name)
    harness, exercise = gate.harness if one_look else gate.graded()[0], BY_NAME[name]
    limits = load_bands(band_file(exercise, one_look), "judge")
    about = describe(harness) | ({"limits": {k: asdict(b) for k, b in limits.items()}} if harness.looks else {})
    return Setting(harness, limits, digest(about)[:12])


def designs(exercise: Exercise) -> dict[str, tuple[str, dict[str, str]]]:
    """Every design by name: (right or wrong, its answer cells)."""
    name = exercise.name
    right = {d: cells(name, d) for kind in ("reference", "unseen right") for d in names(name, kind)}
    right |= {d: cells(name, d) for d in names(name, "design")}  # of the tracks
    right["model solution"] = model_solutions.reference(exercise, exercise.answers)
    for bank in mutants.banks(name) if name == "architecture" else ():
        right |= {d: {bank.answer: source} for d, source in bank.right.items() if d != "a small U-Net"}
    wrong = {d: cells(name, d) for kind in ("control", "unseen wrong") for d in names(name, kind)}
    both = {d: ("right", c) for d, c in right.items()} | {d: ("wrong", c) for d, c in wrong.items()}
    return both | {"memoriser": ("wrong", {})}


def plan(exercises: list[Exercise], reruns: int, one_look: bool, long: bool) -> Iterator[Job]:
    """Rerun by rerun, right and wrong ones of each exercise in turn: what has been done is spread over all designs."""
    known = {e.name: designs(e) for e in exercises}
    for i in range(reruns):
        own = []
        for e in exercises:
            jobs = [Job(e, d, kind, i, answer, one_look) for d, (kind, answer) in known[e.name].items()]
            own += [[j for j in jobs if j.kind == kind] for kind in ("right", "wrong")]
        most = max(map(len, own))
        own = [jobs[i % len(jobs) :] + jobs[: i % len(jobs)] for jobs in own]
        yield from (jobs[n] for n in range(most) for jobs in own if n < len(jobs))
    for e in exercises if long else ():
        yield from (Job(e, d, "long", 0, known[e.name][d][1], one_look) for d in LONG[e.name])


def make(job: Job, judges: dict) -> dict:
    """The run as it is stored; one that fails is a result as well."""
    made = setting(job.exercise.name, job.one_look)
    harness, began = made.harness, time.process_time()
    if job.kind == "long":
        steps, warmup = (LONGER * harness.train[k] for k in ("steps", "warmup"))
        harness = replace(harness, train={**harness.train, "steps": steps, "warmup": warmup})
    seed, start = derive_seed("gate benchmark", job.exercise.name, job.rerun), time.monotonic()
    row = dict(zip(("exercise", "design", "kind", "rerun", "harness"), job.key), seed=seed)
    stop = partial(decided, limits=made.limits, harness=harness)
    try:
        with children_counted() as children:
            seen = one_run(Candidate(job.exercise, job.design, job.answer), seed, harness, judges, stop)
        row |= {"metrics": seen[-1].metrics} | ({"step": seen[-1].step} if harness.looks else {})
    except (Failed, Failure) as e:
        if isinstance(e, Failure) and e.outcome == "infrastructure_error":
            raise
        row["failed"] = str(e)
    row["cpu_s"] = round(time.process_time() - began + sum(children.values()), 1)
    return row | {"seconds": round(time.monotonic() - start, 1)}


def read(file: Path, exercises: list[Exercise], one_look: bool = False) -> list[dict]:
    """The stored runs of the present harnesses and limits."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    keys = {e.name: setting(e.name, one_look).key for e in exercises}
    return [r for r in rows if r["harness"] == keys.get(r["exercise"])]


def share(row: dict, one_look: bool = False) -> float:
    """The credit that the gate gives, by the limits as they are now."""
    if "failed" in row:
        return 0.0
    return judge_run(row["metrics"]["judge"], setting(row["exercise"], one_look).limits).share


def wilson(hits: int, n: int, z: float = 1.96) -> list[float]:
    """95 % interval of a rate (Wilson 1927)."""
    if n == 0:
        return [0.0, 1.0]
    p, z2 = hits / n, z * z
    centre, half = p + z2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return [round(max(0.0, centre - half) / (1 + z2 / n), 4), round((centre + half) / (1 + z2 / n), 4)]


def correlations(rows: list[dict]) -> dict[str, float]:
    """Spearman's rho of short and long runs by exercise, where at least three designs have both."""
    found = {}
    for name in dict.fromkeys(r["exercise"] for r in rows):
        long = {r["design"]: r["metrics"]["judge"]["distance"] for r in rows if is_long(r, name)}
        short = {
            d: [r["metrics"]["judge"]["distance"] for r in rows
                if r["exercise"] == name and r["design"] == d and r["kind"] != "long" and "metrics" in r]
            for d in long
        }  # fmt: skip
        both = [d for d in long if short[d]]
        if len(both) >= 3:
            found[name] = round(float(spearmanr([fmean(short[d]) for d in both], [long[d] for d in both])[0]), 3)
    return found


def is_long(row: dict, exercise: str) -> bool:
    return row["exercise"] == exercise and row["kind"] == "long" and "metrics" in row


def seconds(rows: list[dict]) -> dict[str, float]:
    """Median and worst processor seconds of runs, where they are known."""
    known = [r["cpu_s"] for r in rows if "cpu_s" in r]
    return {"median": round(median(known), 1), "worst": round(max(known), 1)} if known else {}


def report(rows: list[dict], one_look: bool = False) -> dict:
    """All figures; also printed design by design."""
    short = [r for r in rows if r["kind"] != "long"]
    for key in dict.fromkeys((r["exercise"], r["kind"], r["design"]) for r in short):
        shares = [share(r, one_look) for r in short if (r["exercise"], r["kind"], r["design"]) == key]
        print(f"{key[0]:13} {key[1]:6} {key[2]:38} credit {' '.join(f'{s:g}' for s in shares)}")
    right, wrong = ([r for r in short if r["kind"] == kind] for kind in ("right", "wrong"))
    credit = partial(share, one_look=one_look)
    fails, none = sum(credit(r) < 1 for r in right), sum(credit(r) == 0 for r in right)
    passes, full = sum(credit(r) > 0 for r in wrong), sum(credit(r) == 1 for r in wrong)
    fresh = [r for r in right if r["design"] not in names(r["exercise"], "reference")]
    missed = sum(credit(r) < 1 for r in fresh)
    rho = correlations(rows) if one_look else {}
    return {
        "runs": len(short), "right": len(right), "wrong": len(wrong),
        "false_fail": round(fails / max(1, len(right)), 4), "false_fail_interval": wilson(fails, len(right)),
        "false_fail_without_credit": none,
        "designs_that_set_no_limit": {"runs": len(fresh), "fails": missed, "interval": wilson(missed, len(fresh))},
        "false_pass": round(passes / max(1, len(wrong)), 4), "false_pass_interval": wilson(passes, len(wrong)),
        "false_pass_with_full_credit": full,
        "cpu_s_right": seconds(right), "cpu_s_wrong": seconds(wrong),
        "rank_correlation": round(fmean(rho.values()), 3) if rho else None, "rank_correlations": rho,
    }  # fmt: skip


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--reruns", type=int, default=4, help="of each design")
    p.add_argument("--exercise", action="append", choices=GATED, help="default: all")
    p.add_argument(
        "--part", default="1/1", help="2/3: every third run from the second on, so that three work at a time"
    )
    p.add_argument("--one-look", action="store_true", help="the run of the challenge tracks")
    p.add_argument("--long", action="store_true", help="with --one-look: also the runs ten times longer")
    p.add_argument("--quick", action="store_true", help="one right and one wrong design an exercise, kept nowhere")
    p.add_argument("--report", action="store_true", help="no new runs")
    p.add_argument("--runs", type=Path, default=RUNS)
    a = p.parse_args()
    torch.set_num_threads(1)
    exercises = [e for e in EXERCISES.values() if e.name in (a.exercise or GATED)]
    rows, judges = [] if a.quick else read(a.runs, exercises, a.one_look), load_judges(("judge",))
    done = {tuple(r[k] for k in ("exercise", "design", "kind", "rerun", "harness")) for r in rows}
    planned = [] if a.report else plan(exercises, a.reruns, a.one_look, a.long and a.one_look)
    part, parts = map(int, a.part.split("/"))
    jobs = [j for i, j in enumerate(planned) if i % parts == part - 1 and j.key not in done]
    if a.quick:
        chosen = {e.name: (names(e.name, "reference")[0], names(e.name, "control")[0]) for e in exercises}
        jobs = [j for j in jobs if j.rerun == 0 and j.kind != "long" and j.design in chosen[j.exercise.name]]
    for i, job in enumerate(jobs):
        row = make(job, judges)
        rows.append(row)
        print(f"{i + 1}/{len(jobs)} {job.exercise.name}, {job.design} ({job.kind}): {row['seconds']} s", flush=True)
        if not a.quick:
            with a.runs.open("a", encoding="utf-8") as f:
                f.write(json.dumps(row) + "\n")
    print(json_text(report(rows, a.one_look)))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\ngate_calibration: interrupted; the same command goes on") from None
