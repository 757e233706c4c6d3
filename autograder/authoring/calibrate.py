"""Makes a band file: reruns the reference designs and the controls, and derives the limits from them.

Every run goes through the sandbox exactly as a submission does. It is saved as soon as it is done, so an interrupted
calibration continues where it stopped.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from autograder.authoring.references import cells, names
from autograder.exercises import gate_of
from autograder.exercises.base import Exercise, Probe
from autograder.gate.bands import bands
from autograder.gate.harness import Gate, Harness, describe
from autograder.gate.judge import Judge, measure
from autograder.gate.looking import Look, draw_samples, looks, unlimited
from autograder.gate.sequential import hopeless
from autograder.grading.grader import JUDGES
from autograder.sandbox.limits import Limits
from autograder.sandbox.session import THREADS, session
from ddpm_core.checkpoint import write_text
from ddpm_core.data import digits
from ddpm_core.schedule import DiffusionSchedule, at
from ddpm_core.streams import derive_seed
from ddpm_tools.evaluation.plain_classifier import load_classifier

GENEROUS = Limits(wall_s=7200, cpu_s=7200)  # a busy machine must not end a run


def load_judges(names: tuple[str, ...] = tuple(JUDGES)) -> dict[str, Judge]:
    return {name: Judge.of(load_classifier(JUDGES[name])) for name in names}


def memoriser(xt: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
    """A control: the exact denoiser for the training images of class y (all classes without y).

    It can only return copies of these images.
    """
    data, abar = digits("train"), at(DiffusionSchedule.named().alphas_cumprod, t, xt).flatten(1)  # (B, 1)
    flat, stored = xt.flatten(1), data.floats().flatten(1)  # (B, D), (N, D)
    far = torch.cdist(flat, abar[:1].sqrt() * stored).square() / (2 * (1 - abar))  # (B, N)
    if y is not None:
        far = far.masked_fill(y[:, None] != data.labels, torch.inf)
    x0 = (-far).softmax(dim=1) @ stored  # (B, D)
    return ((flat - abar.sqrt() * x0) / (1 - abar).sqrt()).view_as(xt)


@dataclass(frozen=True)
class Candidate:
    """The design to run, and the number of threads."""

    exercise: Exercise
    design: str
    answer: dict[str, str] | None = None  # its cells, if it is not among the references
    threads: int = THREADS


def one_run(
    what: Candidate,
    seed: int,
    harness: Harness,
    judges: dict[str, Judge],
    decided: Callable[[Look], bool] = unlimited,
) -> list[Look]:
    """Run one design with one seed, and return the looks at it, up to the first that is `decided`."""
    exercise, design = what.exercise, what.design
    if design == "memoriser":
        seen = harness.labels
        images, y, loss = draw_samples(lambda xt, t, y: memoriser(xt, t, y if seen else None), harness, seed)
        return [Look(harness.ends[-1], measure(images, y, loss, judges), math.inf, images)]
    with session(exercise, GENEROUS, threads=what.threads) as child:
        probe = Probe(child, GENEROUS.wall_s)
        probe("load", cells=what.answer or cells(exercise.name, design), operations=exercise.operations)
        seen = []
        for look in looks(probe, judges, harness, seed, shuffled=design == "shuffled"):
            seen.append(look)
            if decided(look):
                break
        return seen


def stored(look: Look) -> dict:
    """Return a look as stored in band files. Hope is null at the first look."""
    hope = None if math.isinf(look.hope) else round(look.hope, 4)
    return {"step": look.step, "metrics": look.metrics, "hope": hope}


def enough(look: Look, gate: Gate, role: str) -> bool:
    """Whether a run for the limits can stop here, if the gate allows that (Gate.enough).

    More training would not make a reference's last look worse, and grading would give up a control here as well.
    """
    if not gate.enough:
        return False
    return look.step >= gate.enough if role == "reference" else hopeless(look, gate.graded()[0].labels)


def calibrate(exercise: Exercise, out: Path, reruns: int = 8, one_look: bool = False) -> dict:
    """Run what is missing from `out`, then write the limits; returns the contents of `out`.

    KeyboardInterrupt only loses the run in progress. `one_look` calibrates the run of the challenge tracks instead of
    the run by which submissions are graded.
    """
    torch.set_num_threads(1)
    gate, judges = gate_of(exercise.name), load_judges()
    harness, controls = (gate.harness, gate.controls) if one_look else gate.graded()
    made_with = json.loads(json.dumps(describe(harness)))
    record: dict = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    if record.get("harness") != made_with:  # runs with another harness say nothing about this one
        record = {"exercise": exercise.name, "harness": made_with, "runs": []}
    record["command"] = f"autograder calibrate {exercise.name} --reruns {reruns}{' --one-look' * one_look}"
    designs = [(d, role) for role in ("reference", "control") for d in names(exercise.name, role)]
    designs.append(("memoriser", "control"))
    plan = [(d, role, i) for i in range(reruns) for d, role in designs]
    done = {(r["design"], r["role"], r["rerun"]) for r in record["runs"]}
    for design, role, i in tqdm([p for p in plan if p not in done], unit="run", desc=f"calibrating {exercise.name}"):
        start, seed = time.monotonic(), derive_seed("calibration", exercise.name, i)
        stop = unlimited if one_look else partial(enough, gate=gate, role=role)
        seen = one_run(Candidate(exercise, design), seed, harness, judges, stop)
        row = {"design": design, "role": role, "rerun": i, "seed": seed, "metrics": seen[-1].metrics}
        if harness.looks:
            row["looks"] = [stored(look) for look in seen]
        record["runs"].append(row | {"seconds": round(time.monotonic() - start, 1)})
        write_text(out, json.dumps(record, indent=1, allow_nan=False) + "\n")
    record["limits"] = {j: {k: asdict(b) for k, b in bands(record["runs"], j, controls).items()} for j in judges}
    write_text(out, json.dumps(record, indent=1, allow_nan=False) + "\n")
    return record
