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


@pytest.mark.parametrize(
    ("mark", "euid", "words"),
    [
        ("run/.containerenv", 1000, "`podman run --security-opt seccomp=unconfined --security-opt unmask=ALL …`"),
        (".dockerenv", 1000, "`docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined "),
        ("run/.containerenv", 0, "`podman run --privileged …`"),
        (".dockerenv", 0, "`docker run --privileged …`"),
    ],
)
def test_in_a_container_the_remedy_is_how_to_start_it(tmp_path, mark, euid, words):
    (tmp_path / mark).parent.mkdir(exist_ok=True)
    (tmp_path / mark).touch()
    assert bubblewrap._remedy("bwrap: Can't mount proc", euid, tmp_path).startswith(words)


def test_what_the_kernel_forbids_is_to_be_allowed_on_the_host(tmp_path):
    """A container has no say in it; and no option of the container helps."""
    (tmp_path / "proc/sys/user").mkdir(parents=True)
    (tmp_path / "proc/sys/user/max_user_namespaces").write_text("0\n")
    typed = "`sudo sysctl -w user.max_user_namespaces=15000`"
    assert bubblewrap._remedy("bwrap: whatever", 1000, tmp_path) == typed
    (tmp_path / ".dockerenv").touch()
    assert bubblewrap._remedy("bwrap: whatever", 1000, tmp_path) == f"{typed} on the host of this container"


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
