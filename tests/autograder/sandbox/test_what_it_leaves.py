"""Whatever processes a child starts, none of them is there after it, nor stops another child."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from autograder.sandbox.child_process import Limits
from tests.autograder.sandbox.children import BOMB, LINGER, RAW, REPO, alive, failure_of, family, lingering, raw, runner


def test_a_fork_bomb_is_contained_and_leaves_nothing(tmp_path):
    most, over = [], threading.Event()
    child = raw(tmp_path, BOMB, Limits(processes=24))

    def count():
        while not over.wait(0.01):
            try:
                most.append(family(child)[1:])
            except psutil.Error:
                return

    counter = threading.Thread(target=count)
    counter.start()
    failure = failure_of(child, timeout_s=1.5)
    over.set()
    counter.join()
    assert failure.outcome in ("timeout", "crash")
    ours = child._watchdog._ours  # the init and the runner, and what keeps the place of one that was forked
    assert 10 < max(map(len, most)) <= 24 + ours  # the kernel's limit as root, elsewhere the watchdog's
    assert not alive([process for look in most for process in look])


def test_one_fork_bomb_does_not_stop_another_child(tmp_path):
    with raw(tmp_path / "a", BOMB, Limits(processes=24)) as bomb:
        bomb._process.stdin.write(b"go")
        time.sleep(0.5)
        with raw(tmp_path / "b", "question()\nif os.fork(): send(frame({}))", Limits(processes=24)) as other:
            assert other.ask({}) == ({}, {})


@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_process_left_behind_is_dead_after_close(tmp_path, sandboxed):
    body = LINGER.format(mark=str(tmp_path), end="send(frame({})); time.sleep(60)")
    with raw(tmp_path, body, sandboxed=sandboxed) as child:
        child.ask({})
        assert len(lingering(tmp_path)) == 1
    assert not lingering(tmp_path)


@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_process_that_outlives_the_runner_is_dead_after_close(tmp_path, sandboxed):
    body = LINGER.format(mark=str(tmp_path), end="")
    assert failure_of(raw(tmp_path, body, sandboxed=sandboxed)).outcome == "crash"
    assert not lingering(tmp_path)


def test_nothing_survives_a_killed_grader(tmp_path):
    body = LINGER.format(mark=str(tmp_path), end="send(frame({})); time.sleep(60)")
    runner(tmp_path / "code", RAW + body)
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(REPO)!r})
from autograder.sandbox.child_process import Child, Limits
child = Child(Path({str(tmp_path / "code")!r}), Limits())
child.ask({{}})
print(child._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # for what such a grader cannot clean up
    said = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip().isdigit(), said.stderr
    end = time.monotonic() + 3
    while lingering(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    assert not lingering(tmp_path)


def test_the_folder_of_a_child_is_gone_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with raw(tmp_path, "question()") as child:
        assert Path(child._folder.name).parent == tmp_path
        assert (Path(child._folder.name).stat().st_mode & 0o777) == 0o700
    assert [entry.name for entry in tmp_path.iterdir()] == ["code"]
