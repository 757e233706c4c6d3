"""A child that hangs, dies, or takes too much of the machine ends near its limit, and the reason is told."""

from __future__ import annotations

import time

import pytest
import torch

from autograder.sandbox.child_process import Child, Failure, Limits
from autograder.sandbox.watchdog import PAUSE_S
from tests.autograder.sandbox.children import MIB, SHELL, alive, failure_of, family, raw, runner


@pytest.mark.parametrize(
    "body", ["time.sleep(60)", "os.close(0); time.sleep(60)", "os.kill(os.getpid(), signal.SIGSTOP)"]
)
def test_a_hang_is_a_timeout_near_its_limit(tmp_path, body):
    child = raw(tmp_path, "question()\n" + body)
    processes, start = family(child), time.monotonic()
    failure = failure_of(child, timeout_s=0.7)
    assert (failure.outcome, failure.message) == ("timeout", "The answer gave no result within 0.7 s.")
    assert 0.7 - PAUSE_S < time.monotonic() - start < 6  # exact to a look, and a busy machine takes a while to look
    assert not alive(processes)


@pytest.mark.parametrize(
    "body",
    [
        "for byte in frame({}) * 99: send(bytes([byte])); time.sleep(0.05)",
        "send(frame({'a': 'b' * 99})[:-1]); time.sleep(60)",
        "send(struct.pack('>IQ', 9, 32 << 20) + b'x'); time.sleep(60)",
    ],
)
def test_dribbles_and_halves_of_a_frame_do_not_hold_us(tmp_path, body):
    start = time.monotonic()
    # the first sends a whole empty frame after 0.7 s, so its deadline comes earlier
    assert failure_of(raw(tmp_path, "question()\n" + body), timeout_s=0.5).outcome == "timeout"
    assert time.monotonic() - start < 6


def test_a_child_that_never_reads_is_a_timeout(tmp_path):
    child = raw(tmp_path, "time.sleep(60)")
    assert failure_of(child, timeout_s=1.0, tensors={"x": torch.zeros(50 * MIB // 4)}).outcome == "timeout"


def test_the_whole_life_is_bounded_too(tmp_path):
    child = raw(tmp_path, "while question(): send(frame({}))", Limits(wall_s=0.5))
    with child:
        assert child.ask({}) == ({}, {})
        processes = family(child)
        time.sleep(1.0)
        assert not alive(processes)  # also between questions
        with pytest.raises(Failure) as caught:
            child.ask({})
    assert (caught.value.outcome, caught.value.message) == ("timeout", "The answer ran longer than 0.5 s in all.")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit(0)", "exit status 0"),
        ("os._exit(3)", "exit status 3"),
        ("print('why'); raise RuntimeError('no')", "exit status 1"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("send(frame({'a': 'b'})[:-1]); os._exit(0)", "exit status 0"),
    ],
)
def test_an_end_without_an_answer_is_a_crash(tmp_path, body, says):
    child = raw(tmp_path, "question()\n" + body)
    failure = failure_of(child)
    assert failure.outcome == "crash"
    assert says in failure.message
    if "why" in body:
        assert "why" in child.printed and "RuntimeError: no" in child.printed
    with pytest.raises(Failure, match=says):  # asked again, it says the same
        child.ask({})


def test_a_memory_bomb_is_named_and_stopped_near_its_limit(tmp_path):
    body = "question()\nblocks = []\nwhile True: blocks.append(bytearray(b'x') * (4 << 20))"
    child = raw(tmp_path, body, Limits(memory_bytes=256 * MIB))
    failure = failure_of(child)
    assert (failure.outcome, failure.message) == ("crash", "The answer used more than 0.2 GiB of memory.")
    assert 256 * MIB < child.peak_bytes < 1024 * MIB


FORKED = """
question()
{before}
for _ in range(3):
    if not os.fork():
        {within}
        time.sleep(60)
time.sleep(1)
send(frame({{}}))
"""


def test_memory_is_that_of_all_processes_together(tmp_path):
    body = FORKED.format(before="", within="block = bytearray(b'x') * (100 << 20)")
    assert "of memory" in failure_of(raw(tmp_path, body, Limits(memory_bytes=256 * MIB))).message


def test_memory_shared_by_forked_processes_counts_once(tmp_path):
    body = FORKED.format(before="block = bytearray(b'x') * (150 << 20)", within="pass")
    with raw(tmp_path, body, Limits(memory_bytes=256 * MIB)) as child:
        assert child.ask({}) == ({}, {})
        assert 150 * MIB < child.peak_bytes < 256 * MIB


@pytest.mark.parametrize("body", ["while True: pass", "for _ in range(3): os.fork()\nwhile True: pass"])
def test_processor_time_is_that_of_all_processes_together(tmp_path, body):
    failure = failure_of(raw(tmp_path, "question()\n" + body, Limits(cpu_s=1)))
    assert (failure.outcome, failure.message) == ("crash", "The answer used more than 1 s of processor time.")


def test_a_renewed_child_knows_nothing_of_the_one_before(tmp_path):
    begin = "import sys; sys.modules['mine'] = sys; open('/tmp/left', 'w').close(); print('first', file=sys.stderr)"
    look = (
        "import os, sys; value = [os.path.exists('/tmp/left'), 'mine' in sys.modules]; print('second', file=sys.stderr)"
    )
    with Child(runner(tmp_path, SHELL), Limits()) as child:
        for _ in range(2):  # also after the process has gone
            child.ask({"code": begin})
            assert child.ask({"code": look})[0]["value"] == [True, True]
            child.close()
            child.renew()
            assert child.ask({"code": look})[0]["value"] == [False, False]
        peak = child.peak_bytes
    assert child.printed.split() == ["first", "second", "second"] * 2 and peak > 0
    with pytest.raises(Failure, match="has been closed"):
        child.ask({"code": look})


def test_a_child_beside_another_knows_nothing_of_it_and_outlives_nobody(tmp_path):
    begin = "import sys; sys.modules['mine'] = sys; open('/tmp/left', 'w').close(); value = 1"
    look = "import os, sys; value = [os.path.exists('/tmp/left'), 'mine' in sys.modules]"
    with Child(runner(tmp_path, SHELL), Limits()) as child:
        child.ask({"code": begin})
        with child.beside() as other:
            assert other.ask({"code": look})[0]["value"] == [False, False]
        assert child.ask({"code": look})[0]["value"] == [True, True]
        with pytest.raises(Failure, match="has been closed"):
            other.ask({"code": look})
