"""Judges machine-made mutants: each loses points, is equivalent to the original, or survives.

A differential test finds equivalent mutants: they give the same replies as the original to everything that the checks
ask, in separate seeds. Each mutant runs in a fork of this process with a time limit, since some never end.
"""

import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch

from autograder.authoring import mutants
from autograder.authoring.mutants import Bank, InProcess
from autograder.authoring.operators import Mutant
from autograder.authoring.operators import mutants as all_mutants
from autograder.child.protocol import Message, Serve, Tensors
from autograder.exercises import EXERCISES
from autograder.exercises.base import Failed, Probe
from autograder.exercises.served import Served
from autograder.intake import model_solutions
from ddpm_core.streams import stream

SEEDS, OTHER_SEEDS = (0, 1, 2), (11, 12)  # in which mutants are judged, and tested for equivalence
CLOCK = "stays within the time budget"  # not run: this check depends on what else the machine is doing
LIMIT_S, MEMORY = 40, 6 * 2**30  # processor seconds per mutant (200 where checks build networks), and bytes
RIGHT = "right: "  # precedes a cell's name if the mutant was made from a right answer other than the model solution
ACCEPTED = Path(__file__).with_name("accepted.txt")


@cache
def solutions() -> dict[str, dict[str, str]]:
    """Return the model solution of every answer cell, by exercise and answer."""
    return {e.name: model_solutions.reference(e, e.answers) for e in EXERCISES.values()}


def source_of(bank: Bank, mutated: str = "") -> str:
    """Return a cell's model solution, or `mutated` in its place. In a pair, the other cell's solution is included."""
    cells = {**solutions()[bank.exercise.name]}
    cells[bank.answer] = mutated or cells[bank.answer]
    return "\n".join(cells.values()) if bank.exercise.judged_as_pair else cells[bank.answer]


def of_solution(bank: Bank) -> list[Mutant]:
    """Return all mutants of a cell's model solution."""
    return all_mutants(solutions()[bank.exercise.name][bank.answer])


class Asked(NamedTuple):
    """A request, with the model that it serves, and what an answer made of it."""

    header: dict
    tensors: Tensors
    served: Served | None
    reply: Message  # together with what was asked of the model

    def of(self, child: InProcess) -> Message:
        """Ask the same of another answer."""
        served = self.served and self.served.again()
        return told(child.ask(self.header, self.tensors, serve=served), served)


def told(reply: Message, served: Served | None) -> Message:
    header, out = reply
    return {**header}, {**out, **(served.record() if served else {})}


@dataclass
class Recording:
    """Passes requests on to a child, and keeps them with their replies."""

    child: InProcess
    kept: list[Asked] = field(default_factory=list)

    def ask(
        self, header: dict, tensors: Tensors | None = None, timeout_s: float = 20.0, serve: Serve | None = None
    ) -> Message:
        reply = self.child.ask(header, tensors, timeout_s, serve)
        self.kept.append(Asked(dict(header), dict(tensors or {}), serve, told(reply, serve)))
        return reply


def loaded(bank: Bank, source: str, child: object) -> Probe:
    probe = Probe(child)
    supplied = {name: solutions()[bank.exercise.name][name] for name in bank.exercise.needs.get(bank.answer, ())}
    probe("load", cells=bank.cells(source), supplied=supplied, operations=bank.exercise.operations)
    return probe


def first_failure(
    bank: Bank, source: str, seed: int, child: object | None = None, only: str | None = None
) -> str | None:
    """Return the first check that a source fails, of all checks or `only` this one; None if it fails none.

    A check that is stopped by an error counts as failed.
    """
    try:
        probe = loaded(bank, source, child or InProcess(import_module(bank.exercise.questions)))
    except Failed:
        return "load"
    for check in bank.checks:
        try:
            if CLOCK not in check.name and only in (None, check.name):
                check.run(probe, stream(seed, check.name))
        except Exception:  # as in grading/checking.py: no points
            return check.name
    return None


def alike(one: Message, two: Message) -> bool:
    """Whether two replies are the same, except for rounding and the wording of errors."""
    (a, p), (b, q) = one, two
    if "error" in a or "error" in b:
        return (a.get("error") or {}).get("kind") == (b.get("error") or {}).get("kind")
    if {k: v for k, v in a.items() if k != "notes"} != {
        k: v for k, v in b.items() if k != "notes"
    } or p.keys() != q.keys():
        return False
    return all(
        p[k].shape == q[k].shape and p[k].dtype == q[k].dtype
        and torch.allclose(p[k].double(), q[k].double(), rtol=1e-5, atol=1e-6, equal_nan=True) for k in p
    )  # fmt: skip


def equivalent(bank: Bank, source: str, original: str) -> bool:
    """Whether a mutant gives the same replies as its original to all that the checks ask the original.

    ValueError if the original loses points.
    """
    questions = import_module(bank.exercise.questions)
    for seed in OTHER_SEEDS:
        recording, other = Recording(InProcess(questions)), InProcess(questions)
        if first_failure(bank, original, seed, recording) is not None:
            raise ValueError(f"{bank.answer}: a right answer loses points in seed {seed}")
        loaded(bank, source, other)
        for asked in recording.kept:
            if asked.header["op"] != "load" and not alike(asked.reply, asked.of(other)):
                return False
    return True


def verdict(bank: Bank, source: str, original: str) -> tuple[str, str]:
    """Return (outcome, check): "killed" in every seed, "by chance" in some, "equivalent" or "survived"."""
    failed = [first_failure(bank, source, SEEDS[0])]
    for seed in SEEDS[1:]:  # try the check that failed before first: usually it fails again
        failed.append(
            (failed[0] and first_failure(bank, source, seed, only=failed[0])) or first_failure(bank, source, seed)
        )
    if all(failed):
        return "killed", str(failed[0])
    if any(failed):
        return "by chance", next(f for f in failed if f)
    return ("equivalent" if equivalent(bank, source, original) else "survived"), ""


def in_fork(work: Callable[[], tuple[str, str]], limit_s: int) -> tuple[str, str]:
    """Run `work` in a fork of this process and return its result, or ("killed", "time" or "crash…") if it fails."""
    receive, send = os.pipe()
    if not (pid := os.fork()):
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, limit_s)  # processor time, so that a busy machine kills no mutant
        signal.alarm(10 * limit_s)  # for a mutant that waits forever without using the processor
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            answer = json.dumps(work())
        except BaseException as e:  # a mutant that ends the process, or an error of ours: the record shows which
            answer = json.dumps(("killed", f"crash: {e!r}"[:200]))
        os.write(send, answer.encode())
        os._exit(0)
    os.close(send)
    with open(receive, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    if answer:
        return tuple(json.loads(answer))
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM)
    return "killed", "time" if late else "crash"


def judged(bank: Bank, mutant: Mutant, original: str = "") -> tuple[str, str]:
    """Return the verdict on a mutant of the model solution, or of another right answer given as `original`."""
    limit_s = LIMIT_S * (5 if bank.exercise.name in ("architecture", "conditioner") else 1)
    solutions()  # read once, not in every fork
    source = mutant.source if original else source_of(bank, mutant.source)
    return in_fork(lambda: verdict(bank, source, original or source_of(bank)), limit_s)


@cache
def accepted() -> dict[tuple[str, str], str]:
    """Return the accepted survivors, which are right answers too: {(answer, change): reason}."""
    found, answer, reason = {}, "", ""
    for line in ACCEPTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("=== "):
            answer = line[4:]
        elif line.startswith("--- "):
            reason = line[4:]
        elif line.strip() and answer:
            found[answer, line.strip()] = reason
    return found


def banks(*names: str) -> Iterator[Bank]:
    """Yield the banks of the cells named, or of all."""
    return (b for b in mutants.banks() if not names or b.answer in names)
