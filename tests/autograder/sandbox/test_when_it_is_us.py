"""Failures before any student code has run, and machines without a sandbox: never the student's fault."""

from __future__ import annotations

import json
import os

import psutil
import pytest

from autograder.sandbox import bubblewrap
from autograder.sandbox.child_process import Child, Failure, Limits, available
from tests.autograder.sandbox.children import MIB, SECRET, failure_of, raw, runner

NOT_READY = [
    "raise ImportError('no torch here')",
    "import sys; sys.exit(0)",
    "print('garbage' * 9)",
    "import os, struct, time; os.write(1, struct.pack('>IQ', 2, 0) + b'{}'); time.sleep(60)",
]


@pytest.mark.parametrize("start", NOT_READY)
@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_runner_that_does_not_start_is_not_the_students_fault(tmp_path, start, sandboxed):
    with pytest.raises(Failure) as caught:
        Child(runner(tmp_path / "code", start), Limits(), sandboxed=sandboxed)
    assert caught.value.outcome == "infrastructure_error"
    if "torch" in start:
        assert "no torch here" in caught.value.message


def test_a_slow_start_is_not_the_students_fault(tmp_path, monkeypatch):
    monkeypatch.setattr("autograder.sandbox.child_process.START_S", 0.5)
    with pytest.raises(Failure, match="not ready within") as caught:
        Child(runner(tmp_path / "code", "import time; time.sleep(60)"), Limits())
    assert caught.value.outcome == "infrastructure_error"


def test_a_missing_folder_is_not_the_students_fault(tmp_path):
    with pytest.raises(Failure) as caught:
        Child(tmp_path / "absent", Limits())
    assert caught.value.outcome == "infrastructure_error"


def test_without_bubblewrap_there_is_a_sentence_and_no_grade(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert available() == "The sandbox needs the program bwrap: type `sudo apt-get install bubblewrap`."
    with pytest.raises(Failure, match="apt-get install bubblewrap") as caught:
        raw(tmp_path, "")
    assert caught.value.outcome == "infrastructure_error"


def test_a_bubblewrap_that_does_not_work_is_told_with_its_reason(tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: Creating new namespace failed: Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "Operation not permitted); type `" in available()
    with pytest.raises(Failure) as caught:
        raw(tmp_path, "")
    assert caught.value.outcome == "infrastructure_error"


def test_remedies_are_commands():
    for said in ("bwrap: Unknown option --size", "setpriv: failed to execute x: Permission denied", "bwrap: whatever"):
        assert bubblewrap._remedy(said, 1000).startswith("`")


def test_without_the_sandbox_the_limits_still_hold(tmp_path):
    with raw(
        tmp_path / "echo", "question(); send(frame({'cwd': os.getcwd()})); time.sleep(60)", sandboxed=False
    ) as child:
        header, _ = child.ask({})
        assert header["cwd"].startswith(child._folder.name)
        assert SECRET not in json.dumps(psutil.Process(child._process.pid).environ())
    bomb = "question()\nblocks = []\nwhile True: blocks.append(bytearray(b'x') * (4 << 20))"
    failure = failure_of(raw(tmp_path / "memory", bomb, Limits(memory_bytes=256 * MIB), sandboxed=False))
    assert "0.2 GiB of memory" in failure.message
    assert failure_of(raw(tmp_path / "hang", "time.sleep(60)", sandboxed=False), timeout_s=0.3).outcome == "timeout"
    many = "question()\nfor _ in range(40):\n    if not os.fork(): time.sleep(60)\ntime.sleep(60)"
    failure = failure_of(raw(tmp_path / "many", many, Limits(processes=24), sandboxed=False))
    assert failure.message == "The answer started more than 24 processes."
    body = "question(); open('x', 'wb').write(bytes(2 << 20))"
    child = raw(tmp_path / "large", body, Limits(file_bytes=MIB), sandboxed=False)
    assert failure_of(child).outcome == "crash" and "File too large" in child.printed
