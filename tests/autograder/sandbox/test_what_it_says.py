"""What a child prints and sends: bounded, safe to show, and refused where it is no answer."""

from __future__ import annotations

import pickle
import time

import psutil
import pytest

from autograder.sandbox.child_process import Failure, Limits
from tests.autograder.sandbox.children import MIB, failure_of, raw


def test_endless_printing_neither_blocks_nor_grows(tmp_path):
    body = """
def flood():
    while True: os.write(2, b"first\\n" + b"x" * 65536)
threading.Thread(target=flood, daemon=True).start()
while question(): time.sleep(0.5); send(frame({}))
"""
    with raw(tmp_path, body, Limits(output_bytes=10_000)) as child:
        before = psutil.Process().memory_info().rss
        assert child.ask({}) == child.ask({}) == ({}, {})
        assert psutil.Process().memory_info().rss - before < 20 * MIB
        start = time.monotonic()
    assert time.monotonic() - start < 4  # it would never end, or after PATIENCE_S
    assert 10_000 < len(child.printed) < 10_100
    assert child.printed.startswith("first\n") and "bytes left out" in child.printed


def test_printed_text_is_safe_to_show(tmp_path):
    body = r"""question(); os.write(1, b"10%\r20%\n\x1b[2J\x00\xff\xc2\x9b ok \t\n"); send(frame({})); question()"""
    with raw(tmp_path, body) as child:
        child.ask({})
    assert child.printed == "10%\n20%\n�[2J��� ok \t\n"


LYING = {
    "garbage": "send(os.urandom(1 << 16) * 4)",
    "endless garbage": "while True: send(b'\\xff' * (1 << 16))",
    "giant blob": "send(struct.pack('>IQ', 2, 1 << 62) + b'{}'); time.sleep(60)",
    "giant header": "send(struct.pack('>IQ', (1 << 32) - 1, 0)); time.sleep(60)",
    "larger than allowed": "send(frame({}, bytes((1 << 20) + 1)))",
    "no JSON": "send(frame(b'{'))",
    "no object": "send(frame([1, 2]))",
    "empty": "send(struct.pack('>IQ', 0, 0))",
    "pickle": f"send(frame({{}}, {pickle.dumps(print)!r}))",
    "pickle as header": f"send(frame({pickle.dumps({})!r}))",
    "deep": "send(frame(b'[' * 200000))",
}


@pytest.mark.parametrize("lie", LYING)
def test_lies_on_the_wire_are_invalid_output(tmp_path, lie):
    start = time.monotonic()
    failure = failure_of(raw(tmp_path, "question()\n" + LYING[lie], Limits(message_bytes=1 << 20)))
    assert failure.outcome == "invalid_output"
    assert time.monotonic() - start < 8  # a wait for what was announced takes 10


def test_a_result_before_the_question_is_invalid(tmp_path):
    with raw(tmp_path, "question(); send(frame({'n': 1}) + frame({'n': 2})); time.sleep(60)") as child:
        assert child.ask({}) == ({"n": 1}, {})
        with pytest.raises(Failure, match="before it was asked") as caught:
            child.ask({})
    assert caught.value.outcome == "invalid_output"
