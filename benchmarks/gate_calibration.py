"""How often does the reference gate err? Fresh runs of right and of known-bad designs, for all gated exercises.

    python benchmarks/gate_calibration.py                (goes on where it stopped)
    python benchmarks/gate_calibration.py --quick        (two runs an exercise)
    python benchmarks/gate_calibration.py --report       (the figures of the runs so far)

The right designs include some that did not set the limits, and none of the runs here set them. Each run is appended to
data/gates/runs.jsonl as soon as it is done, so it can be stopped at any time. A false fail is a right design that does
not get full credit, a false pass a known-bad one that gets any. The last line is one JSON object. Rates come with
Wilson's 95 % intervals, for all right designs and for those that set no limit. Seconds are processor seconds of
training and looks (grader and child), which do not depend on what else the machine does.

`--one-look` uses the run of the challenge tracks, which is measured once, at its end.

`--bank` adds a run of every wrong answer in the exercise's bank (mutants.txt), most of which the checks find already.
It shows which of them the gate lets through.

`--long` adds runs ten times longer, to test the order in which the gate puts designs: Spearman's rank correlation of
the Fréchet distances, with its 95 % interval (Bonett & Wright 2000, Psychometrika 65). If a gate has looks, the short
distance is taken at the look to which references are run, the last one or Gate.enough. Each design is run once more to
that look ("whole"), since at the look that decides, all right designs are just within the limit. Otherwise it is the
mean of the short runs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from gate_figures import GATED, GRADED, RUNS, SHORT, Setting, figures, print_credit, read, setting
from grading import children_counted

from autograder.authoring import mutants
from autograder.authoring.calibrate import Candidate, load_judges, one_run
from autograder.authoring.references import cells, names
from autograder.exercises import EXERCISES
from autograder.exercises.base import Exercise, Failed
from autograder.gate.harness import Harness
from autograder.gate.looking import Look
from autograder.gate.sequential import decided
from autograder.intake import model_solutions
from autograder.sandbox.limits import Failure
from ddpm_core.streams import derive_seed
from ddpm_tools.outputs import json_text

LONGER = 10
LONG = {  # enough designs to compare orders, few enough for one night
    "conditioner": (
        *("add", "ignored", "film", "concat", "table", "squeeze", "negligible", "low_rank", "small_signal", "adain"),
        *("adaln_zero", "cross_attention", "depthwise", "zero_everything"),
    ),
    "prediction": ("epsilon", "v", "x0", "flow", "inconsistent", "no_division", "small_x0", "large_noise"),
    "architecture": (
        *("own_unet", "flat", "pointwise", "the library's blocks, zero at the end", "patches and a transformer"),
        *("zero_everything", "deep_narrow", "no levels"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One run to be made."""

    exercise: Exercise
    design: str
    kind: str  # right, wrong, bank, whole or long
    rerun: int
    answer: dict[str, str]
    one_look: bool = False

    @property
    def key(self) -> tuple:
        return self.exercise.name, self.design, self.kind, self.rerun, setting(self.exercise.name, self.one_look).key


def designs(exercise: Exercise) -> dict[str, tuple[str, dict[str, str]]]:
    """Return every design by name: ("right" or "wrong", its answer cells)."""
    name = exercise.name
    right = {d: cells(name, d) for kind in ("reference", "unseen right") for d in names(name, kind)}
    right |= {d: cells(name, d) for d in names(name, "design")}  # from the tracks
    right["model solution"] = model_solutions.reference(exercise, exercise.answers)
    for bank in mutants.banks(name) if name == "architecture" else ():
        right |= {d: {bank.answer: source} for d, source in bank.right.items() if d != "a small U-Net"}
    wrong = {d: cells(name, d) for kind in ("control", "unseen wrong") for d in names(name, kind)}
    both = {d: ("right", c) for d, c in right.items()} | {d: ("wrong", c) for d, c in wrong.items()}
    return both | {"memoriser": ("wrong", {})}


def bank(exercise: Exercise, one_look: bool) -> Iterator[Job]:
    """Yield a job for each wrong answer in the exercise's bank."""
    solution = model_solutions.reference(exercise, exercise.answers)
    for b in mutants.banks(exercise.name):
        for name, wrong in b.wrong.items():
            yield Job(exercise, f"{b.answer}: {name}", "bank", 0, solution | {b.answer: wrong.source}, one_look)


def plan(exercises: list[Exercise], reruns: range, one_look: bool, long: bool) -> Iterator[Job]:
    """Yield the jobs rerun by rerun, right and wrong in turn for each exercise, so that partial results cover all."""
    known = {e.name: designs(e) for e in exercises}
    for i in reruns:
        own = []
        for e in exercises:
            jobs = [Job(e, d, kind, i, answer, one_look) for d, (kind, answer) in known[e.name].items()]
            own += [[j for j in jobs if j.kind == kind] for kind in ("right", "wrong")]
        most = max(map(len, own))
        own = [jobs[i % len(jobs) :] + jobs[: i % len(jobs)] for jobs in own]
        yield from (jobs[n] for n in range(most) for jobs in own if n < len(jobs))
    kinds = ("long",) if one_look else ("whole", "long")
    for e in exercises if long else ():
        yield from (Job(e, d, kind, 0, known[e.name][d][1], one_look) for d in LONG[e.name] for kind in kinds)


def make(job: Job, judges: dict) -> dict:
    """Make a run and return its row. A run that fails is a result as well."""
    made = setting(job.exercise.name, job.one_look)
    harness, began = longer(made) if job.kind == "long" else made.harness, time.process_time()
    seed, start = derive_seed("gate benchmark", job.exercise.name, job.rerun), time.monotonic()
    row = dict(zip(("exercise", "design", "kind", "rerun", "harness"), job.key), seed=seed)

    def stop(look: Look) -> bool:
        if job.kind in GRADED:
            return decided(look, made.limits, harness)
        return look.step >= made.enough

    try:
        with children_counted() as children:
            seen = one_run(Candidate(job.exercise, job.design, job.answer), seed, harness, judges, stop)
        row |= {"metrics": seen[-1].metrics} | ({"step": seen[-1].step} if made.harness.looks else {})
    except (Failed, Failure) as e:
        if isinstance(e, Failure) and e.outcome == "infrastructure_error":
            raise
        row["failed"] = str(e)
    row["cpu_s"] = round(time.process_time() - began + sum(children.values()), 1)
    return row | {"seconds": round(time.monotonic() - start, 1), "cpu": torch.backends.cpu.get_cpu_capability()}


def longer(made: Setting) -> Harness:
    """Return the harness of a run ten times as long, with the full learning-rate schedule, measured at its end."""
    steps, warmup = LONGER * made.enough, LONGER * made.harness.train["warmup"]
    return replace(made.harness, train={**made.harness.train, "steps": steps, "warmup": warmup}, looks=())


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--reruns", type=int, default=4, help="of each design")
    p.add_argument("--first", type=int, default=0, help="the first of the reruns; earlier ones are not made")
    p.add_argument("--exercise", action="append", choices=GATED, help="default: all")
    p.add_argument(
        "--part", default="1/1", help="2/3: every third run from the second on, so that three processes share the work"
    )
    p.add_argument("--kind", choices=SHORT[True], help="only right, or only wrong designs")
    p.add_argument("--one-look", action="store_true", help="the run of the challenge tracks")
    p.add_argument("--bank", action="store_true", help="after the others, the wrong answers in the banks")
    p.add_argument("--long", action="store_true", help="after the others, the runs ten times longer")
    p.add_argument("--quick", action="store_true", help="one right and one wrong design per exercise, not stored")
    p.add_argument("--report", action="store_true", help="no new runs")
    p.add_argument("--runs", type=Path, default=RUNS)
    a = p.parse_args()
    torch.set_num_threads(1)
    exercises = [e for e in EXERCISES.values() if e.name in (a.exercise or GATED)]
    rows, judges = [] if a.quick else read(a.runs, exercises, a.one_look), load_judges(("judge",))
    done = {tuple(r[k] for k in ("exercise", "design", "kind", "rerun", "harness")) for r in rows}
    planned = [] if a.report else [*plan(exercises, range(a.first, a.first + a.reruns), a.one_look, a.long)]
    planned += [job for e in exercises for job in bank(e, a.one_look)] if a.bank and not a.report else []
    part, parts = map(int, a.part.split("/"))
    wanted = [j for j in planned if a.kind in (None, j.kind)]
    jobs = [j for i, j in enumerate(wanted) if i % parts == part - 1 and j.key not in done]
    if a.quick:
        chosen = {e.name: (names(e.name, "reference")[0], names(e.name, "control")[0]) for e in exercises}
        jobs = [j for j in jobs if j.rerun == 0 and j.kind in SHORT[True] and j.design in chosen[j.exercise.name]]
    for i, job in enumerate(jobs):
        row = make(job, judges)
        rows.append(row)
        print(f"{i + 1}/{len(jobs)} {job.exercise.name}, {job.design} ({job.kind}): {row['seconds']} s", flush=True)
        if not a.quick:
            with a.runs.open("a", encoding="utf-8") as f:
                f.write(json.dumps(row) + "\n")
    print_credit(rows, a.one_look)
    print(json_text(figures(rows, a.one_look)))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\ngate_calibration: interrupted; the same command goes on") from None
