"""Known answers to every cell, right and wrong, that test the checks.

Each wrong answer must lose the points that it should, and no right one may lose any.

exercises/NAME/mutants.txt has a section for each answer cell (bank.py). Its answers are `right` or `wrong`. `loses`
names the checks that a wrong one must fail, each by a part of its name that no other check has. If the answers of an
exercise are judged as a pair, each source defines both, and may fail any of the checks.

All of these answers are ours and trusted, so they may run in this process.
"""

import sys
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO
from itertools import groupby

from autograder.authoring.bank import read
from autograder.child import answers, protocol, remote
from autograder.child.protocol import Message, Serve, Tensors
from autograder.exercises import EXERCISES, HERE
from autograder.exercises.base import Check, Exercise, Failed, Probe
from autograder.intake import model_solutions
from ddpm_core.streams import stream

NAMES = tuple(e.name for e in EXERCISES.values() if (HERE / e.name / "mutants.txt").is_file())


@dataclass(frozen=True)
class Wrong:
    """A wrong answer, and the names of the checks that must fail."""

    source: str
    loses: tuple[str, ...]


@dataclass(frozen=True)
class Bank:
    """Known answers to one answer cell."""

    exercise: Exercise
    answer: str
    right: dict[str, str]
    wrong: dict[str, Wrong]

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.exercise.checks if self.exercise.judged_as_pair else self.exercise.checks_of(self.answer)

    def cells(self, source: str) -> dict[str, str]:
        """Return the answer cells of one known answer. A pair's source goes into the first, and the second is empty."""
        if not self.exercise.judged_as_pair:
            return {self.answer: source}
        return dict.fromkeys(self.exercise.answers, "") | {self.exercise.answers[0]: source}


def banks(*names: str) -> Iterator[Bank]:
    """Yield the banks of some exercises, or of all."""
    by_name = {e.name: e for e in EXERCISES.values()}
    for name in names or NAMES:
        for answer, entries in groupby(read(HERE / name / "mutants.txt"), key=lambda entry: entry.section):
            bank = Bank(by_name[name], answer, {}, {})
            for entry in entries:
                if entry.kind == "right":
                    bank.right[entry.name] = entry.source
                else:
                    loses = tuple(_check(bank, part) for part in entry.notes["loses"].split("; "))
                    bank.wrong[entry.name] = Wrong(entry.source, loses)
            yield bank


def _check(bank: Bank, part: str) -> str:
    names = [c.name for c in bank.checks if part in c.name.removeprefix(f"{bank.answer}:")]
    if len(names) != 1:
        raise ValueError(f"{bank.exercise.name}, {bank.answer}: {part!r} is in {len(names)} checks' names, not in one")
    return names[0]


@dataclass
class InProcess:
    """Replies like a child, but in this process: a hundred times faster, and for trusted code only."""

    operations: object
    names: dict = field(default_factory=dict)

    def ask(
        self, header: dict, tensors: Tensors | None = None, timeout_s: float = 20.0, serve: Serve | None = None
    ) -> Message:
        def exchange(frame: bytes) -> Message:
            _, given = protocol.read_message(BytesIO(frame))
            return protocol.read_message(BytesIO(protocol.encode(*serve(given))))

        sent = {k: v.clone() for k, v in (tensors or {}).items()}
        main = sys.modules["__main__"]  # in a child, this belongs to the cells
        try:
            self.names, *reply = answers.reply(
                self.operations, self.names, header, sent, evaluate=remote.evaluator(exchange)
            )
            frame = protocol.encode(*reply)
        except Exception as error:
            frame = protocol.encode(answers.describe(error))
        finally:
            sys.modules["__main__"] = main
        return protocol.read_message(BytesIO(frame))  # so that only what can be sent gets through

    def renew(self) -> None:
        """Forget all that was loaded, as a new process would."""
        self.names = {}

    def beside(self) -> AbstractContextManager["InProcess"]:
        """Return another one, with nothing loaded."""
        return nullcontext(InProcess(self.operations))


def failures(
    bank: Bank, source: str, seed: int, child: object | None = None, only: Container[str] | None = None
) -> dict[str, str]:
    """Return the checks (of all, or of `only` these) that an answer fails, with their messages.

    `child` is what runs the answer; without it, this process does.
    """
    exercise = bank.exercise
    probe = Probe(child or InProcess(import_module(exercise.questions)))
    supplied = model_solutions.reference(exercise, needed) if (needed := exercise.needs.get(bank.answer)) else {}
    failed = {}
    try:
        probe("load", cells=bank.cells(source), supplied=supplied, operations=exercise.operations)
    except Failed as e:
        return {c.name: str(e) for c in bank.checks}
    for check in bank.checks:
        if only is not None and check.name not in only:
            continue
        try:
            check.run(probe, stream(seed, check.name))
        except Failed as e:
            failed[check.name] = str(e)
    return failed


def survivors(bank: Bank, seed: int, child: object | None = None) -> dict[str, list[str]]:
    """Return the wrong answers that kept points they should lose, with the checks that let each of them pass."""
    found = {}
    for name, wrong in bank.wrong.items():
        failed = failures(bank, wrong.source, seed, child, wrong.loses)
        if passed := [c for c in wrong.loses if c not in failed]:
            found[f"{bank.answer}: {name}"] = passed
    return found


def victims(bank: Bank, seed: int, child: object | None = None) -> dict[str, dict[str, str]]:
    """Return the right answers that lost points, with the messages."""
    found = {f"{bank.answer}: {name}": failures(bank, source, seed, child) for name, source in bank.right.items()}
    return {name: failed for name, failed in found.items() if failed}
