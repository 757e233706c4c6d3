"""Finds the known mistake that a wrong answer behaves like, and names it for the instructor.

Each wrong answer in the bank stands for a kind of mistake, given by its name. The candidates are those that fail nearly
the same checks as the answer. Among these, the one whose replies to the very same questions agree best is chosen. Only
telling questions count, those to which the answer replies differently from the model solution. Modules agree only if
they are built alike, so many mistakes stay unnamed. A name is given only if nearly all telling replies agree, and never
for answers that stop with an error.

    python -m autograder.authoring.misconceptions NOTEBOOK...

prints the names for solved notebooks, each run in a sandbox. None of this reaches a student.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import torch

from autograder.authoring.machine import Asked, Recording, alike, banks, loaded, source_of
from autograder.authoring.mutants import Bank, InProcess
from autograder.child.protocol import Message
from autograder.exercises.base import Failed
from autograder.intake.extract import Unreadable, extract
from autograder.sandbox.limits import Limits
from autograder.sandbox.session import session
from ddpm_core.streams import stream

SURE, TELLING, CANDIDATES = 0.95, 4, 8  # share of telling replies that must agree, their least number, mistakes tried
ALIKE = 0.6  # checks that both fail, as a share of the checks that either fails


@dataclass(frozen=True)
class Named:
    """A known mistake, and how many of the `telling` replies agree with it."""

    name: str
    agree: int
    telling: int


def examined(bank: Bank, source: str, seed: int, child: object) -> tuple[frozenset[str], list[Asked]]:
    """Return the checks that a source fails, and all requests with its replies.

    If it does not load, it fails all checks and there are no requests.
    """
    recording = Recording(child)
    try:
        probe = loaded(bank, source, recording)
    except Failed:
        return frozenset(c.name for c in bank.checks), []
    failed = set()
    for check in bank.checks:
        try:
            check.run(probe, stream(seed, check.name))
        except Exception:  # whatever it was, there are no points
            failed.add(check.name)
    return frozenset(failed), [k for k in recording.kept if k.header["op"] != "load"]


def in_process(bank: Bank) -> InProcess:
    return InProcess(import_module(bank.exercise.questions))


@cache
def patterns(answer: str, seed: int) -> dict[str, frozenset[str]]:
    """Return the checks that each known mistake of a cell fails."""
    (bank,) = banks(answer)
    return {name: examined(bank, w.source, seed, in_process(bank))[0] for name, w in bank.wrong.items()}


def candidates(bank: Bank, failed: frozenset[str], seed: int) -> list[str]:
    """Return the known mistakes that fail nearly the same checks, the most similar first."""
    likeness = {n: len(failed & f) / len(failed | f) for n, f in patterns(bank.answer, seed).items() if failed | f}
    return sorted((n for n, v in likeness.items() if v >= ALIKE), key=lambda n: -likeness[n])[:CANDIDATES]


def replies(bank: Bank, source: str, asked: list[Asked]) -> list[Message]:
    child = in_process(bank)
    loaded(bank, source, child)
    return [k.of(child) for k in asked]


def telling(bank: Bank, asked: list[Asked]) -> list[Asked]:
    """Return the requests to which an answer replies differently from the model solution, and not with an error."""
    right = replies(bank, source_of(bank), asked)
    return [k for k, r in zip(asked, right) if "error" not in k.reply[0] and not alike(k.reply, r)]


def agreement(bank: Bank, name: str, tells: list[Asked]) -> Named:
    """Count the telling replies of an answer that agree with those of a known mistake."""
    try:
        wrong = replies(bank, bank.wrong[name].source, tells)
    except Failed:  # a known mistake that does not even load
        return Named(name, 0, len(tells))
    return Named(name, sum(alike(k.reply, w) for k, w in zip(tells, wrong)), len(tells))


def named(bank: Bank, source: str, seed: int, child: object | None = None) -> tuple[Named | None, list[Asked]]:
    """Return the known mistake that an answer behaves like, or None if none is certain enough, and all requests."""
    failed, asked = examined(bank, source, seed, child or in_process(bank))
    tells = telling(bank, asked) if failed and asked else []
    found = [agreement(bank, n, tells) for n in candidates(bank, failed, seed)] if len(tells) >= TELLING else []
    best = max(found, key=lambda f: f.agree, default=None)
    return (best if best is not None and best.agree >= SURE * best.telling else None), asked


def report(files: Iterable[Path], seed: int = 0) -> Iterable[str]:
    """Yield a line for each answer in solved notebooks that behaves like a known mistake or cannot be read."""
    for file in files:
        for bank in (b for b in banks() if b.exercise.name == file.stem and not b.exercise.judged_as_pair):
            try:
                source = extract(file, bank.exercise.answers).cells[bank.answer]
            except (Unreadable, KeyError) as e:
                yield f"{file}, {bank.answer}: {e}"
                continue
            with session(bank.exercise, Limits()) as child:
                best, _ = named(bank, source, seed, child)
            if best:
                yield f"{file}, {bank.answer}: behaves like “{best.name}” ({best.agree} of {best.telling} replies)"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in report(map(Path, sys.argv[1:])):
        print(line)
