"""Whose time counts: a busy machine fails nobody, an endless loop and an endless sleep end."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from autograder.sandbox import deadline, watchdog
from autograder.sandbox.child_process import Child
from autograder.sandbox.deadline import Deadline
from autograder.sandbox.limits import Failure, Limits
from autograder.sandbox.processes import Use
from autograder.sandbox.watchdog import Watchdog
from tests.autograder.sandbox.children import family

# Starts in a tenth of a second; what follows it is what happens instead of an answer.
RUNNER = """
import os, struct, sys, threading, time
def send(text=b"{}"):
    os.write(1, struct.pack(">IQ", len(text), 0) + text)
send(b'{"ready": true}')
while os.read(0, 1 << 16):
"""
COMPUTE = "    end = time.process_time() + %g\n    while time.process_time() < end: pass\n    send()\n"


def child(folder: Path, body: str, limits: Limits = Limits()) -> Child:  # noqa: B008
    (folder / "code").mkdir()
    (folder / "code/runner.py").write_text(RUNNER + body)
    return Child(folder / "code", limits)


def failure_of(asked: Child, timeout_s: float) -> Failure:
    with asked, pytest.raises(Failure) as caught:
        asked.ask({}, timeout_s=timeout_s)
    return caught.value


class Clock:
    """A time that passes when the test says so."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(watchdog, "time", made)
    monkeypatch.setattr(deadline, "time", made)
    return made


class Looks:
    """A watchdog whose looks the test makes: at a second's pace, a child that computed so much and wants to or not."""

    def __init__(self, clock: Clock, monkeypatch, pause_s: float = 0.1):
        self.dog, self.clock, self.pause_s, self.cpu_s = Watchdog(_Self(), Limits()), clock, pause_s, 0.0
        monkeypatch.setattr(self.dog, "_held", SimpleNamespace(busy=lambda: self.runnable))

    def go(self, seconds: float, computed: float, runnable: bool) -> None:
        self.runnable, steps = runnable, round(seconds / self.pause_s)
        for _ in range(steps):
            self.clock.now += self.pause_s
            self.cpu_s += computed / steps
            self.dog._count(self.clock.now, self.cpu_s)


class _Self:
    pid = os.getpid()


def test_the_time_that_counts(clock, monkeypatch):
    looks = Looks(clock, monkeypatch)
    with looks.dog.asking():
        waits = Deadline(looks.dog, 20)
        looks.go(60, computed=15, runnable=True)  # starved: it got a quarter of a processor
        assert looks.dog.spent == pytest.approx(15) and waits.left == pytest.approx(5)
        looks.go(4, computed=0, runnable=False)  # asleep
        assert looks.dog.spent == pytest.approx(19) and waits.left == pytest.approx(1)
        looks.go(2, computed=4, runnable=True)  # two processes at once
        assert waits.left < 0 and "within 20 s." in waits.failure.message
    looks.go(50, computed=1, runnable=False)  # between questions it may sleep
    assert looks.dog.spent == pytest.approx(24)


def test_a_child_that_waits_for_its_model_is_charged_what_the_model_computes(clock, monkeypatch):
    looks = Looks(clock, monkeypatch)
    with looks.dog.asking():
        looks.dog.doing = "serving"
        looks.go(30, computed=0, runnable=False)  # the grader is starved
        assert looks.dog.spent == 0
        looks.dog.lent += 3
        looks.go(2, computed=1, runnable=False)
        assert looks.dog.spent == pytest.approx(4)
        looks.dog.doing = "sending"
        looks.go(2, computed=0, runnable=False)
        assert looks.dog.spent == pytest.approx(6)


def test_what_the_start_took_is_not_charged_to_the_first_question(clock, monkeypatch):
    """The watchdog looks twenty times a second, so its last look may lie before the end of the start."""
    looks = Looks(clock, monkeypatch)
    looks.dog._held.ready, looks.dog._held.use = True, lambda enough: Use(1, 0, looks.cpu_s)
    looks.go(2, computed=2, runnable=True)
    looks.cpu_s += 0.5  # since the last look
    looks.dog.begin()
    assert looks.dog.deadline == clock.now + Limits().wall_s
    with looks.dog.asking():
        waits = Deadline(looks.dog, 0.7)
        looks.go(0.6, computed=0, runnable=False)
        assert looks.dog.spent == pytest.approx(0.6) and waits.left == pytest.approx(0.1)


def test_who_looks_late_counts_little(clock, monkeypatch):
    """The grader itself may have waited for a processor, while the child's answer lay in the pipe."""
    looks = Looks(clock, monkeypatch, pause_s=5.0)
    with looks.dog.asking():
        looks.go(50, computed=0, runnable=False)
    assert looks.dog.spent == pytest.approx(10 * watchdog.LATE_S)


def test_who_takes_more_than_a_core_goes_to_the_back(clock, monkeypatch):
    """So that in a batch the answer beside it keeps its own core."""
    looks, given = Looks(clock, monkeypatch), []
    monkeypatch.setattr(watchdog, "below", lambda root: [SimpleNamespace(nice=given.append)])
    monkeypatch.setattr(looks.dog, "_root", SimpleNamespace(nice=lambda value: None))
    for cpu_s in (1.4, 2.8):  # 1.4 processor seconds in each
        clock.now += 1.0
        looks.dog._settle(cpu_s)
    assert given == []
    clock.now += 1.0
    looks.dog._settle(2.8 + 1.6)
    assert given == [19]


def test_the_clock_is_a_backstop(clock, monkeypatch):
    looks = Looks(clock, monkeypatch)
    with looks.dog.asking():
        waits = Deadline(looks.dog, 20)
        looks.go(199, computed=1, runnable=True)
        assert waits.left > 0
        looks.go(2, computed=0, runnable=True)
    assert waits.left < 0 and "within 200 s on a busy machine" in waits.failure.message


def test_a_starved_child_is_waited_for(tmp_path, monkeypatch):
    """A fifth of a second of work takes seconds where twenty other programs want the core, and none of them is its own.

    Each of them, like the child, is in a session of its own, so kernels that share by session treat all alike, and
    nothing here rests on nice, which not every machine honours.
    """
    monkeypatch.setattr(deadline, "SLACK", 100.0)  # other tests want that core as well
    core = min(os.sched_getaffinity(0))
    with child(tmp_path, COMPUTE % 0.2) as asked:
        for process in family(asked)[1:]:
            process.cpu_affinity([core])
        spin = ["sh", "-c", "while :; do :; done"]
        others = [subprocess.Popen(spin, start_new_session=True) for _ in range(20)]
        try:
            for other in others:
                os.sched_setaffinity(other.pid, [core])
            for _ in range(10):  # it may go first for a while, since it has slept
                start = time.monotonic()
                assert asked.ask({}, timeout_s=1.0) == ({}, {})
                if (took := time.monotonic() - start) > 1.0:
                    break
        finally:
            for other in others:
                other.kill()
                other.wait()
    assert took > 1.0, "the child was not starved, so nothing has been shown"


@pytest.mark.parametrize(
    "body",
    {
        "a loop": "    while True: pass",
        "a sleep": "    time.sleep(60)",
        "naps": "    while True: time.sleep(0.01)",
        "loops in threads": "    for _ in range(3): threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()",
    }.items(),
    ids=lambda item: item[0],
)
def test_what_never_ends_is_ended(tmp_path, body):
    start = time.monotonic()
    failure = failure_of(child(tmp_path, body[1]), timeout_s=0.5)
    assert (failure.outcome, failure.message) == ("timeout", "The answer gave no result within 0.5 s.")
    assert time.monotonic() - start < 6  # by the clock at most ten times the limit, and a start


def test_short_sleeps_in_many_questions_add_up(tmp_path):
    with child(tmp_path, "    time.sleep(0.3)\n    send()\n", Limits(cpu_s=1)) as asked:
        with pytest.raises(Failure, match="longer than 1 s in all") as caught:
            for _ in range(20):
                asked.ask({}, timeout_s=2.0)
    assert caught.value.outcome == "timeout"
