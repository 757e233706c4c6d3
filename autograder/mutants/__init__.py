"""Known answers of every cell, right and wrong, that show what the checks see: each wrong one must lose the points that
it should, and no right one may lose any. Never released.

The bank of an exercise is a text file beside this one:

    === q_sample                        an answer cell
    --- right: view                     a right answer; the first one is the base of the edits below
    (source)
    --- wrong: minus                    a wrong answer
    loses: the noise is scaled; own     checks that must fail, each by a part of its name that no other check has
    - x_0 + (1                          an edit of the base: this text, which occurs once, …
    + x_0 - (1                          … becomes this; several lines, and several edits, one after the other
    (or, in place of edits, a source)

Where the answers of an exercise are judged as a pair, each source defines both, and may fail any of the checks.

All of these answers are ours and trusted, so they may run in this process.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from torch import Tensor

from autograder.child import answers, protocol
from autograder.exercises import EXERCISES
from autograder.exercises.base import Check, Exercise, Failed, Probe
from autograder.intake import model_solutions
from ddpm_core.streams import stream

HERE = Path(__file__).parent
NAMES = tuple(e.name for e in EXERCISES.values() if (HERE / f"{e.name}.txt").is_file())


@dataclass(frozen=True)
class Wrong:
    """A wrong answer, and the names of the checks that must fail."""

    source: str
    loses: tuple[str, ...]


@dataclass(frozen=True)
class Bank:
    """Known answers of one answer cell."""

    exercise: Exercise
    answer: str
    right: dict[str, str]
    wrong: dict[str, Wrong]

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.exercise.checks if self.exercise.judged_as_pair else self.exercise.checks_of(self.answer)

    def cells(self, source: str) -> dict[str, str]:
        """The answer cells of one known answer: a pair's source is all in the first, and the second is empty."""
        if not self.exercise.judged_as_pair:
            return {self.answer: source}
        return dict.fromkeys(self.exercise.answers, "") | {self.exercise.answers[0]: source}


def banks(*names: str) -> Iterator[Bank]:
    """The banks of some exercises, or of all."""
    by_name = {e.name: e for e in EXERCISES.values()}
    for name in names or NAMES:
        for part in (HERE / f"{name}.txt").read_text(encoding="utf-8").split("\n=== ")[1:]:
            yield _bank(by_name[name], *part.split("\n", 1))


def _bank(exercise: Exercise, answer: str, text: str) -> Bank:
    bank = Bank(exercise, answer.strip(), {}, {})
    for block in text.split("\n--- ")[1:]:
        title, body = block.split("\n", 1)
        kind, name = title.split(": ", 1)
        base = next(iter(bank.right.values()), "")
        if name in bank.right or name in bank.wrong:
            raise ValueError(f"{exercise.name}, {answer}: two answers are called {name!r}")
        if kind == "right":
            bank.right[name] = _source(base, body)
            continue
        loses, body = body.removeprefix("loses: ").split("\n", 1)
        bank.wrong[name] = Wrong(_source(base, body), tuple(_check(bank, part) for part in loses.split("; ")))
    return bank


def _source(base: str, body: str) -> str:
    """The body itself, or the base with the body's edits."""
    if not body.startswith("- "):
        return body.strip("\n") + "\n"
    edits: list[tuple[list[str], list[str]]] = []
    for line in body.strip("\n").split("\n"):
        if line.startswith("- ") and (not edits or edits[-1][1]):  # what follows a `+` is another edit
            edits.append(([], []))
        edits[-1][line.startswith("+")].append(line[2:])
    for old, new in edits:
        base = _replace(base, "\n".join(old), "\n".join(new))
    return base


def _replace(source: str, old: str, new: str) -> str:
    if source.count(old) != 1:
        raise ValueError(f"the edit of {old!r} has {source.count(old)} places in its base, not one:\n{source}")
    return source.replace(old, new)


def _check(bank: Bank, part: str) -> str:
    names = [c.name for c in bank.checks if part in c.name.removeprefix(f"{bank.answer}:")]
    if len(names) != 1:
        raise ValueError(
            f"{bank.exercise.name}, {bank.answer}: {part!r} is part of {len(names)} checks' names, not one"
        )
    return names[0]


@dataclass
class InProcess:
    """Answers as a child does, in this process: for trusted code, a hundred times faster."""

    operations: object
    names: dict = field(default_factory=dict)

    def ask(
        self, header: dict, tensors: dict[str, Tensor] | None = None, timeout_s: float = 20.0
    ) -> tuple[dict, dict[str, Tensor]]:
        sent = {k: v.clone() for k, v in (tensors or {}).items()}
        try:
            self.names, *reply = answers.reply(self.operations, self.names, header, sent)
            frame = protocol.encode(*reply)
        except Exception as error:
            frame = protocol.encode(answers.describe(error))
        size = protocol.PREFIX.size
        text, _ = protocol.PREFIX.unpack(frame[:size])
        return protocol.decode(frame[size : size + text], frame[size + text :])  # nothing else gets through the wire


def failures(
    bank: Bank, source: str, seed: int, child: object | None = None, only: Container[str] | None = None
) -> dict[str, str]:
    """Checks (all, or only these) that an answer fails, with the messages; `child` is a sandbox, or this process."""
    exercise = bank.exercise
    probe = Probe(child or InProcess(import_module(f"autograder.child.{exercise.operations}")))
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
    """Wrong answers that kept points which they should lose: the checks that let each of them pass."""
    found = {}
    for name, wrong in bank.wrong.items():
        failed = failures(bank, wrong.source, seed, child, wrong.loses)
        if passed := [c for c in wrong.loses if c not in failed]:
            found[f"{bank.answer}: {name}"] = passed
    return found


def victims(bank: Bank, seed: int, child: object | None = None) -> dict[str, dict[str, str]]:
    """Right answers that lost points, with the messages."""
    found = {f"{bank.answer}: {name}": failures(bank, source, seed, child) for name, source in bank.right.items()}
    return {name: failed for name, failed in found.items() if failed}
