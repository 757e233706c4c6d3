"""Runs a command until its time is up, and no longer. scripts/gpu_window.py uses this for its stages."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ddpm_tools.train.interrupt import Request

Clock = Callable[[], float]


def within(
    command: Sequence[str], log: Path, end: float, grace: float, asked: Request, watch: Callable[[], object],
    now: Clock = time.monotonic,
) -> int | None:  # fmt: skip
    """Run a command. It is asked to stop `grace` seconds before `end`, and killed at `end` with all that it started.

    Returns its exit status, or None if it was stopped. `watch` is called every half second.
    """
    stopped = False
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, process_group=0)
        try:
            while child.poll() is None and now() < end:
                if not stopped and (asked or now() >= end - grace):
                    child.terminate()
                    stopped, end = True, min(end, now() + grace)
                time.sleep(0.5)
                watch()
        finally:
            if killed := child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return None if stopped or killed else child.returncode


def last_line(log: Path) -> str:
    """Return the last line that a program has printed."""
    return ([line for line in log.read_text(errors="replace").splitlines() if line.strip()] or ["no output"])[-1]
