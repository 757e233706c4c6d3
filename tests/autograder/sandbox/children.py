"""Runners that a student's code could turn the real one into, and what the tests here ask of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from autograder.child import protocol
from autograder.sandbox.child_process import Child, Failure, Limits

REPO = Path(__file__).resolve().parents[3]
MIB = 1 << 20
SECRET = "correct-horse-battery"


# Runs the code that it is asked to run, so that one start serves many questions.
SHELL = """
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import protocol
answers = os.fdopen(os.dup(1), "wb", buffering=0)
os.dup2(2, 1)
protocol.write_message(answers, {"ready": True})
while message := protocol.read_message(sys.stdin.buffer):
    header, tensors = message
    scope = {"tensors": tensors, "value": None}
    try:
        exec(header["code"], scope)
        reply = {"value": scope["value"]}
    except BaseException as error:
        reply, scope["tensors"] = {"error": type(error).__name__, "errno": getattr(error, "errno", None)}, {}
    protocol.write_message(answers, reply, scope["tensors"])
"""


# Without torch it starts in a tenth of a second; what follows it is what happens instead of an answer.
RAW = """
import ctypes, json, os, signal, struct, subprocess, sys, threading, time
def frame(header, blob=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">IQ", len(text), len(blob)) + text + blob
def send(data):
    while data:
        data = data[os.write(answers, data):]
def question():
    return os.read(0, 1 << 16)
answers = os.dup(1)
os.dup2(2, 1)
send(frame({"ready": True}))
"""


BOMB = """
question()
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""


LINGER = """
question()
if not os.fork():
    os.setsid()
    if not os.fork():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", {mark!r}])
    os._exit(0)
os.wait()
time.sleep(0.4)
{end}
"""


def runner(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "runner.py").write_text(text)
    shutil.copy(protocol.__file__, folder / "protocol.py")
    return folder


def raw(folder: Path, body: str, limits: Limits = Limits(), **options) -> Child:  # noqa: B008
    return Child(runner(folder / "code", RAW + body), limits, **options)


def failure_of(child: Child, timeout_s: float = 10.0, tensors: dict | None = None) -> Failure:
    """How one question fails."""
    with child, pytest.raises(Failure) as caught:
        child.ask({}, tensors, timeout_s=timeout_s)
    return caught.value


def family(child: Child) -> list[psutil.Process]:
    """Bubblewrap and all below it, and a runner that was forked elsewhere with all below that."""
    found = [psutil.Process(child._process.pid), *child._watchdog._roots[1:]]
    return [*found, *(process for root in found for process in root.children(recursive=True))]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def lingering(mark: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(mark) in (p.info["cmdline"] or [])]
