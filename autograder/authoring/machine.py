"""Judging mutants that a machine made: each loses points, or does what the original does, or is a survivor.

An equivalent mutant is told by a differential test: on everything that the checks ask of the original in seeds of
their own, it replies just the same. Each mutant runs in a fork of this process, with a time limit: some never end.
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

import torch

from autograder.authoring import mutants
from autograder.authoring.mutants import Bank, InProcess
from autograder.authoring.operators import Mutant
from autograder.authoring.operators import mutants as all_mutants
from autograder.child import protocol
from autograder.exercises import EXERCISES
from autograder.exercises.base import Failed, Probe
from autograder.intake import model_solutions
from ddpm_core.streams import stream

SEEDS, OTHER_SEEDS = (0, 1, 2), (11, 12)  # in which mutants are judged; whose questions tell equivalent ones
CLOCK = "stays within the time budget"  # what the machine is busy with besides would decide this check
LIMIT_S, MEMORY = 40, 6 * 2**30  # seconds of a processor for one mutant, 200 where the checks build networks
RIGHT = "right: "  # before a cell's name, where a mutant is of another right answer than the model solution
ACCEPTED = Path(__file__).with_name("accepted.txt")


@cache
def solutions() -> dict[str, dict[str, str]]:
    """The model solution of every answer cell, by the exercise's name and the answer's."""
    return {e.name: model_solutions.reference(e, e.answers) for e in EXERCISES.values()}


def source_of(bank: Bank, mutated: str = "") -> str:
    """The model solution of a cell, or a mutant of it, with the other cell's before or behind it in a pair."""
    cells = {**solutions()[bank.exercise.name]}
    cells[bank.answer] = mutated or cells[bank.answer]
    return "\n".join(cells.values()) if bank.exercise.judged_as_pair else cells[bank.answer]


def of_solution(bank: Bank) -> list[Mutant]:
    """All mutants of a cell's model solution."""
    return all_mutants(solutions()[bank.exercise.name][bank.answer])


@dataclass
class Recording:
    """Passes questions on, and keeps them with their replies."""

    child: InProcess
    kept: list[tuple[dict, protocol.Tensors, protocol.Message]] = field(default_factory=list)

    def ask(self, header: dict, tensors: protocol.Tensors | None = None, timeout_s: float = 20.0) -> protocol.Message:
        reply = self.child.ask(header, tensors, timeout_s)
        self.kept.append((dict(header), dict(tensors or {}), ({**reply[0]}, {**reply[1]})))
        return reply


def loaded(bank: Bank, source: str, child: object) -> Probe:
    probe = Probe(child)
    supplied = {name: solutions()[bank.exercise.name][name] for name in bank.exercise.needs.get(bank.answer, ())}
    probe("load", cells=bank.cells(source), supplied=supplied, operations=bank.exercise.operations)
    return probe


def first_failure(
    bank: Bank, source: str, seed: int, child: object | None = None, only: str | None = None
) -> str | None:
    """The first check that a source fails, of all or `only` this one; an error that stops it costs its points too."""
    try:
        probe = loaded(bank, source, child or InProcess(import_module(bank.exercise.questions)))
    except Failed:
        return "load"
    for check in bank.checks:
        try:
            if CLOCK not in check.name and only in (None, check.name):
                check.run(probe, stream(seed, check.name))
        except Exception:  # as grading/checking.py has it: no points
            return check.name
    return None


def alike(one: protocol.Message, two: protocol.Message) -> bool:
    """Are two replies the same, up to rounding and to the wording of errors?"""
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
    """Does it reply as the right answer that it was made from does to all that the checks ask of that one?"""
    questions = import_module(bank.exercise.questions)
    for seed in OTHER_SEEDS:
        recording, other = Recording(InProcess(questions)), InProcess(questions)
        if first_failure(bank, original, seed, recording) is not None:
            raise ValueError(f"{bank.answer}: a right answer loses points in seed {seed}")
        loaded(bank, source, other)
        for header, tensors, reply in recording.kept:
            if header["op"] != "load" and not alike(reply, other.ask(header, tensors)):
                return False
    return True


def verdict(bank: Bank, source: str, original: str) -> tuple[str, str]:
    """(outcome, the check): killed in every seed, killed in some, equivalent, survived."""
    failed = [first_failure(bank, source, SEEDS[0])]
    for seed in SEEDS[1:]:  # what one check has seen it sees again, mostly
        failed.append(
            (failed[0] and first_failure(bank, source, seed, only=failed[0])) or first_failure(bank, source, seed)
        )
    if all(failed):
        return "killed", str(failed[0])
    if any(failed):
        return "by chance", next(f for f in failed if f)
    return ("equivalent" if equivalent(bank, source, original) else "survived"), ""


def in_fork(work: Callable[[], tuple[str, str]], limit_s: int) -> tuple[str, str]:
    """What `work` returns in a fork of this process; killed by "time" or "crash" where that does not end well."""
    receive, send = os.pipe()
    if not (pid := os.fork()):
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, limit_s)  # a busy machine kills no mutant
        signal.alarm(10 * limit_s)  # what waits for ever uses no processor
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            answer = json.dumps(work())
        except BaseException as e:  # a mutant that ends the process, or an error of ours: the record shows it
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
    """(outcome, the check) of a mutant of the model solution, or of another right answer: the `original`."""
    limit_s = LIMIT_S * (5 if bank.exercise.name in ("architecture", "conditioner") else 1)
    solutions()  # read once, not in every fork
    source = mutant.source if original else source_of(bank, mutant.source)
    return in_fork(lambda: verdict(bank, source, original or source_of(bank)), limit_s)


@cache
def accepted() -> dict[tuple[str, str], str]:
    """Survivors that are no hole, with the reason: by (answer, change)."""
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
    """Of the cells named, or of all."""
    return (b for b in mutants.banks() if not names or b.answer in names)
