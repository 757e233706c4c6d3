"""Allows three tests and one submission per challenger. The state is derived from the log alone.

A test is logged when it begins and again when it ends. A test that never ended (the machine was switched off, the
process killed) counts, because its result may have been seen. So does one that the design broke. A test that failed
through an error of ours does not count, but only up to a limit, since it is not always certain whose error it was.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.challenges import record
from autograder.intake.look_alikes import appearances

LIMIT = 3
FREE = "infrastructure_error"  # the outcome that uses up no test, …
MOST_FREE = 3  # … at most this often per challenger and track
MEANING = {
    "finished": "finished",
    "failed": "failed: the answer gave no result in training or sampling",
    "lost": "began but never ended, because it was killed or the machine stopped; it counts",
    "stopped": "was interrupted; it counts",
    FREE: f"failed through an error of ours; the first {MOST_FREE} of these do not count",
    "running": "is running, or was killed just now",
}


@dataclass(frozen=True)
class Test:
    """One test: its number, how it ended, and the log's entries for its start and end."""

    __test__ = False  # the name makes pytest take it for a test class

    number: int
    outcome: str
    start: dict[str, Any]
    end: dict[str, Any]

    @property
    def result(self) -> dict[str, Any] | None:
        return self.end.get("result") if self.outcome == "finished" else None


@dataclass(frozen=True)
class Challenger:
    """One name in one track."""

    track: str
    name: str
    tests: tuple[Test, ...]
    submitted: int | None  # the number of the submitted test

    @property
    def free(self) -> int:
        """The number of tests that failed through an error of ours."""
        return sum(t.outcome == FREE for t in self.tests)

    @property
    def used(self) -> int:
        return len(self.tests) - min(self.free, MOST_FREE)

    def test(self, number: int) -> Test:
        """Return the test with this number; ValueError if there is none, or it has no result."""
        for t in self.tests:
            if t.number == number and t.result:
                return t
            if t.number == number:
                raise ValueError(f"test {number} of {self.name} has no result to submit: it {MEANING[t.outcome]}")
        done = ", ".join(str(t.number) for t in self.tests if t.result) or "none"
        raise ValueError(f"{self.name} has no test {number} in {self.track}; with a result: {done}")

    def may_test(self) -> None:
        """Raise ValueError if no further test is allowed."""
        if self.submitted:
            raise ValueError(f"{self.name} has submitted test {self.submitted} in {self.track}, which closes the track")
        if self.used >= LIMIT:
            told = "; ".join(f"test {t.number} {MEANING[t.outcome]}" for t in self.tests)
            raise ValueError(f"{self.name} has used all {LIMIT} tests in {self.track} ({told}); submit one with -n")


def plain_name(name: str) -> str:
    """Return the name under which a challenger is counted; ValueError if it is not allowed.

    Variants in case, spacing and Unicode compatibility forms count as the same name.
    """
    plain = " ".join(unicodedata.normalize("NFKC", name).split()).casefold()
    if not plain or len(plain) > 60 or not all(c.isalnum() or c in " -_.@" for c in plain):
        raise ValueError("a challenger's name has 1 to 60 letters, digits, spaces or any of - _ . @")
    return plain


def challengers(entries: Sequence[dict[str, Any]]) -> list[Challenger]:
    """Return everyone in the log, in the order of their first test."""
    mine: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for e in entries:
        if e["kind"] in ("start", "end", "submit"):
            mine.setdefault((e["track"], e["name"]), []).append(e)
    return [_challenger(track, name, own) for (track, name), own in mine.items()]


def _challenger(track: str, name: str, own: Sequence[dict[str, Any]]) -> Challenger:
    ends = {e["test"]: e for e in own if e["kind"] == "end"}
    begun = ((e, ends.get(e["test"], {})) for e in own if e["kind"] == "start")
    tests = tuple(Test(e["test"], end.get("outcome", "running"), e, end) for e, end in begun)
    return Challenger(track, name, tests, next((e["test"] for e in own if e["kind"] == "submit"), None))


def challenger(folder: Path, track: str, name: str) -> Challenger:
    """Return a challenger, known or new, from the log; ValueError if a new name looks like a known one."""
    name, known = plain_name(name), challengers(record.entries(folder))
    names = {c.name for c in known}
    if name not in names and (other := next((n for n in names if appearances(n) & appearances(name)), None)):
        raise ValueError(f"{name!a} looks like {other!a}, who has tested; write that name, or choose another one")
    return next((c for c in known if (c.track, c.name) == (track, name)), Challenger(track, name, (), None))


def only_one(folder: Path, track: str, name: str) -> AbstractContextManager[None]:
    """Hold a lock while a challenger tests or submits; ValueError if the same challenger does so elsewhere."""
    key = hashlib.sha256(f"{track}/{plain_name(name)}".encode()).hexdigest()[:16]
    return record.locked(folder / ".locks" / key, busy=f"a test of {name} in {track} is running; wait until it ends")


def close_lost(folder: Path, who: Challenger) -> list[int]:
    """Log that tests which never ended are lost, and return their numbers. Call it only while `only_one` is held."""
    lost = [t.number for t in who.tests if t.outcome == "running"]
    for number in lost:
        end(folder, who, number, "lost")
    return lost


def begin(folder: Path, who: Challenger, **about: Any) -> int:
    """Log that a test begins, and return its number; ValueError if none is left."""
    who.may_test()
    number = len(who.tests) + 1
    record.append(folder, "start", track=who.track, name=who.name, test=number, **about)
    return number


def end(folder: Path, who: Challenger, number: int, outcome: str, **about: Any) -> None:
    record.append(folder, "end", track=who.track, name=who.name, test=number, outcome=outcome, **about)


def submit(folder: Path, track: str, name: str, number: int) -> Challenger:
    """Log the one submission; ValueError if there is one already, or if the test has no result."""
    with only_one(folder, track, name):
        who = challenger(folder, track, name)
        if who.submitted:
            raise ValueError(f"{who.name} has submitted test {who.submitted} in {track}: there is one submission only")
        who.test(number)
        record.append(folder, "submit", track=track, name=who.name, test=number)
        return challenger(folder, track, name)
