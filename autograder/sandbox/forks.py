"""Starts answers' processes as forks of one that has already imported torch, which makes a start ten times cheaper.

Each fork has a sandbox of its own, which bubblewrap lays out as usual. A placeholder waits in it until the fork that
has joined it ends, and then ends with the same status. So bubblewrap's process looks the same from outside as it does
without a fork. What the forks share is memory as it was before the fork: see docs/grading_validity.md.
"""

import contextlib
import json
import os
import selectors
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import psutil

from autograder.imports import PACKAGES
from autograder.sandbox import bubblewrap, interpreter, seccomp, uids
from autograder.sandbox.limits import Limits
from autograder.sandbox.processes import below

MODULES = (
    "torch",
    "torch.nn.functional",
    "safetensors.torch",
    "asyncio",
    "inspect",
    "linecache",
)  # what a runner loads
THREADS = 1  # the number of threads for which torch is imported
FEWEST = 2  # with fewer answers it is not worth it: the first start takes as long as before
PLACEHOLDER = ("sh", "-c", 'echo; read -r code; exit "$code"')
IMPORT_S, JOIN_S, END_S = 600.0, 300.0, 2.0  # by the clock, on a machine that may be busy
PIPES = {"start_new_session": True, "bufsize": 0}  # Ctrl-C reaches only the grader, which then closes what it started
ZYGOTE = Path(__file__).with_name("zygote.py")  # read, not imported: it needs Linux, and this file loads anywhere
MESSAGE = 1 << 16  # bytes read at once


class Unusable(Exception):
    """Its message says why answers cannot be forked here, as a clause without a full stop."""


class Forked(NamedTuple):
    """A sandbox and what runs in it."""

    process: subprocess.Popen  # bubblewrap, with the runner's pipes
    runner: psutil.Process


class Zygote:
    """The process to fork from. It is started when first needed, and given up for good at the first problem.

    Any thread may use it. Once it is no longer used, `why` is the reason, with which `say` is called once.
    """

    def __init__(self, say: Callable[[str], None] = lambda why: None, modules: Sequence[str] = MODULES) -> None:
        self.why = unusable()
        self._say, self._modules = say, modules
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        if self.why:
            say(self.why)

    def start(self, code: Path, limits: Limits, *, uid: int, hide: Sequence[str]) -> Forked | None:
        """Fork a process that runs `code`/runner.py in a sandbox; None if it has to be started afresh."""
        if self.why:
            return None
        try:
            with self._lock:
                if self._process is None:
                    self._begin()
            return self._fork(code, limits, uid, hide)
        except (Unusable, OSError, ValueError, psutil.Error) as error:
            self.give_up(str(error))
            return None

    def give_up(self, why: str) -> None:
        """Let existing forks continue, but fork no others."""
        with self._lock:
            first, self.why = self.why is None, self.why or why
            self._end()
        if first:
            self._say(self.why)

    def close(self) -> None:
        """End the process. Call this once no fork is needed any more."""
        self.why = self.why or "it has been closed"
        if not self._lock.acquire(timeout=END_S):  # the process is still importing
            if self._process:
                self._process.kill()
            self._lock.acquire()
        self._end()
        self._lock.release()
        if self._process:
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _begin(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as said:
            with interpreter.sealed() as (python, program):
                argv = [python, "-I", "-B", "-u", "-c", ZYGOTE.read_text(encoding="utf-8"), str(theirs.fileno())]
                self._process = subprocess.Popen(
                    [*argv, *self._modules],
                    **{"executable": f"/proc/self/fd/{program}", "pass_fds": (program, theirs.fileno()), "cwd": "/"},
                    env=bubblewrap.environment(THREADS)
                    | {"PYTORCH_JIT": "0"},  # which runner.py sets before it imports
                    **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": said, **PIPES},
                )
            theirs.close()
            self._control.settimeout(IMPORT_S)
            answer = self._control.recv(MESSAGE).decode()
            if answer != "ready":
                said.seek(0)
                words = said.read().decode(errors="replace").strip().splitlines()
                raise Unusable(answer or f"torch could not be imported ({words[-1] if words else 'no reason given'})")

    def _end(self) -> None:
        """Close our end of its socket. The process ends by itself as soon as its forks have."""
        if self._control:
            self._control.close()

    def _fork(self, code: Path, limits: Limits, uid: int, hide: Sequence[str]) -> Forked:
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            (stdin, into), (out, stdout), (err, stderr) = _pipe(theirs, ours), _pipe(ours, theirs), _pipe(ours, theirs)
            (report, reporting), (status, ending), (ready, waiting) = (_pipe(theirs, theirs) for _ in range(3))
            process = self._sandbox(code, limits, hide, (status, waiting, stderr))
            ours.callback(_stop, process)
            waiting.close()
            if _read(ready, time.monotonic() + JOIN_S) != b"\n":
                raise Unusable("its sandbox did not start")
            root = not os.geteuid()
            bounds = bubblewrap.bounds(limits, shared_uid=not root)
            with _init(process) as (init, pid):
                wanted = {
                    **{"init": pid, "uid": uid if root else None, "bounds": [list(bound) for bound in bounds.values()]},
                    "absent": [name.replace("/", ".") for name in (*PACKAGES, bubblewrap.COURSE, *hide)],
                    **{"runner": f"{bubblewrap.CODE}/runner.py", "cwd": "/tmp", "filter": seccomp.program().hex()},
                }
                fds = [init, *(p.fileno() for p in (stdin, stdout, stderr, reporting, ending))]
                with self._lock:
                    if self.why:
                        raise Unusable(self.why)
                    socket.send_fds(self._control, [json.dumps(wanted).encode()], fds)
            reporting.close()
            said = _report(report)
            if not said.keys() >= {"pid", "walled"}:
                raise Unusable(said.get("error") or "a fork ended before it had walls")
            runner = psutil.Process(int(said["pid"]))  # it is not reaped before the report is closed
            process.stdin, process.stdout, process.stderr = into, out, err
            ours.pop_all()
            return Forked(process, runner)

    def _sandbox(
        self, code: Path, limits: Limits, hide: Sequence[str], pipes: tuple[BinaryIO, ...]
    ) -> subprocess.Popen:
        """Start a sandbox with a placeholder in it.

        As another user, the answer cannot signal the placeholder. As the same one, it would only end itself.
        """
        with seccomp.opened() as fds:
            words = bubblewrap.command(PLACEHOLDER, code, limits, uid=uids.PLACEHOLDER, hide=hide, filter_fds=fds)
            named = dict(zip(("stdin", "stdout", "stderr"), pipes))
            return subprocess.Popen(words, env=bubblewrap.environment(THREADS), cwd="/", pass_fds=fds, **named, **PIPES)


@contextlib.contextmanager
def serving(answers: int, say: Callable[[str], None]) -> Iterator[Zygote | None]:
    """Yield the zygote to fork `answers` answers from, or None if there are too few for it to pay off.

    If forking fails, answers start afresh, and `say` is called with a sentence that gives the reason.
    """
    if answers < FEWEST:
        yield None
        return
    with contextlib.closing(
        Zygote(lambda why: say(f"Every answer starts torch anew, which takes longer: {why}."))
    ) as z:
        yield z


def unusable() -> str | None:
    """Return the reason why answers cannot be forked here, if it is known without trying; otherwise None."""
    if why := bubblewrap.available():
        return why.rstrip(".")
    if seccomp.program() is None:
        return "there is no system-call filter for this processor"
    if not all(hasattr(os, name) for name in ("pidfd_open", "memfd_create")):
        return "this system cannot join a sandbox"
    return None


@contextlib.contextmanager
def _init(process: subprocess.Popen) -> Iterator[tuple[int, int]]:
    """Yield the init of a sandbox that is laid out: a pidfd, which never refers to a later process, and its pid."""
    first = below(psutil.Process(process.pid))[:1]
    if not first:
        raise Unusable("its sandbox has ended")
    fd = os.pidfd_open(first[0].pid)
    try:
        if not first[0].is_running() or first[0].ppid() != process.pid:
            raise Unusable("its sandbox has ended")
        yield fd, first[0].pid
    finally:
        os.close(fd)


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """Return the two ends of a new pipe. Each is closed with its stack."""
    r, w = os.pipe()
    return reader.enter_context(os.fdopen(r, "rb", buffering=0)), writer.enter_context(os.fdopen(w, "wb", buffering=0))


def _read(pipe: BinaryIO, until: float) -> bytes:
    """Return the next bytes, or b"" at the end of the stream; Unusable if they do not come in time."""
    with selectors.PollSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        if not selector.select(max(0.0, until - time.monotonic())):
            raise Unusable("it took too long")
    return os.read(pipe.fileno(), MESSAGE)


def _report(pipe: BinaryIO) -> dict[str, str]:
    """Read lines from keeper and runner, as {first word: rest}, until the outcome is clear."""
    text, until = b"", time.monotonic() + JOIN_S
    while True:
        part = _read(pipe, until)
        text += part
        said = dict(line.partition(" ")[::2] for line in text.decode().splitlines())
        if not part or said.keys() & {"error", "ended"} or said.keys() >= {"pid", "walled"}:
            return said


def _stop(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
