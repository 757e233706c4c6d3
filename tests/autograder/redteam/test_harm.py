"""What an answer can take from the machine although its limits forbid it: time, memory, and the watchdog's patience."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import NamedTuple

import pytest

from autograder.sandbox.child_process import Failure
from autograder.sandbox.limits import Limits
from tests.autograder.sandbox.children import MIB, raw

KINDS = runpy.run_path(str(Path(__file__).parent / "attacks/harm.py"))
COMMON = KINDS["COMMON"]
MEMORY = 512 * MIB
PATIENCE_S = 1.0


class Ended(NamedTuple):
    """How it ended, how much it said that it got, and the processor seconds that the watchdog saw meanwhile."""

    failure: Failure | None
    got: int
    seen_s: float


def ended(folder: Path, body: str, limits: Limits, patience_s: float, **options) -> Ended:
    child = raw(folder, COMMON + body, limits, **options)
    failure, before = None, child._watchdog._cpu_s
    try:
        with child:
            child.ask({}, timeout_s=patience_s)
    except Failure as raised:
        failure = raised
    got = [int(n) for n in re.findall(r"^got (\d+)$", child.printed, re.M)]
    assert got, child.printed
    return Ended(failure, max(got), child._watchdog._cpu_s - before)


@pytest.mark.parametrize("name", KINDS["BURN"])
def test_processor_time_is_charged_whoever_spends_it(name, tmp_path, got):
    """On a busy machine they get little in the time by the clock, but what they get is seen."""
    failure, milliseconds, seen_s = ended(tmp_path, KINDS["BURN"][name], Limits(), PATIENCE_S)
    assert failure and failure.outcome == "timeout", failure
    assert milliseconds / 1000 < PATIENCE_S + 0.8, milliseconds
    # a dead worker that nobody has reaped shows whole hundredths of a second only
    assert seen_s > 0.6 * milliseconds / 1000 - 0.1, (milliseconds, seen_s)
    got(name, 0.0, f"{milliseconds / 1000:.1f} s of processor time for a question limited to {PATIENCE_S:g} s")


@pytest.mark.parametrize("name", KINDS["HOLD"])
def test_memory_is_counted_whoever_holds_it(name, tmp_path, got):
    failure, held, _ = ended(tmp_path, KINDS["HOLD"][name], Limits(memory_bytes=MEMORY), 2.5)
    assert failure and failure.outcome in ("crash", "timeout"), failure
    assert held < 1.3 * MEMORY, held / MIB
    got(name, 0.0, f"{held // MIB} MiB held, {MEMORY // MIB} allowed")


@pytest.mark.parametrize("sandboxed", [True, False])
@pytest.mark.parametrize("name", KINDS["COME_AND_GO"])
def test_those_that_come_and_go_are_the_answers_own(name, sandboxed, tmp_path, got):
    body = KINDS["COME_AND_GO"][name] + "\nsend(frame({}))\nquestion()"
    body = body if sandboxed else body.replace("+ 3", "+ 1.5")
    failure = ended(tmp_path, body, Limits(), 20.0, sandboxed=sandboxed).failure
    assert failure is None, failure
    got(f"{name}, {'in' if sandboxed else 'without'} the sandbox", 0.0)
