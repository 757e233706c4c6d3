"""Whoever stops a test leaves no process behind, not even one who has no time to say so."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
TEST = """
import os

from autograder.challenges import quick
from autograder.challenges.examples import examples

if __name__ == "__main__":
    job = quick.Job("prediction", examples("prediction")[0].cells(), 1, sandboxed=False)
    try:
        with quick.worker(2) as work:
            list(work([job, job]))
    except KeyboardInterrupt:
        os._exit(130)  # as the command does
"""


def until(true, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return true()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_no_process_outlives_a_stopped_test(how: signal.Signals, tmp_path: Path):
    (tmp_path / "begin.py").write_text(TEST)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, tmp_path / "begin.py"]
    parent = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
    family, others = psutil.Process(parent.pid), []
    try:
        # two workers and the children in which the answers live, besides multiprocessing's own helper
        assert until(lambda: len(family.children(recursive=True)) >= 5)
        others = family.children(recursive=True)
        if how == signal.SIGINT:
            os.killpg(parent.pid, how)  # as a terminal does, and an impatient hand once more
        parent.send_signal(how)
        assert until(lambda: not [p for p in others if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], 30)
        assert parent.wait(10) != 0
    finally:
        for process in (*others, family):
            if process.is_running():
                process.kill()
        parent.wait()
