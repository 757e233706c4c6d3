"""The trusted side: starts untrusted code within limits, sends it requests, and accepts nothing but data in reply.

    with Child(folder_with_runner_py, Limits()) as child:
        header, tensors = child.ask({"call": "q_sample"}, {"x0": x0, "t": t}, timeout_s=5)

A child may hang, crash, lie about lengths, print without end, fill its memory or leave processes behind. So every read
and write here has a deadline and a bound, and `close` leaves nothing running. Until the runner reports that it is
ready, no student code is loaded, so any failure is ours.
"""

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from autograder.child import protocol
from autograder.child.protocol import Message, Serve, Tensors
from autograder.sandbox import launch
from autograder.sandbox.bubblewrap import DATA, available
from autograder.sandbox.deadline import Deadline
from autograder.sandbox.forks import THREADS, Zygote
from autograder.sandbox.limits import Failure, Limits
from autograder.sandbox.output import Output
from autograder.sandbox.scratch import temporary
from autograder.sandbox.uids import Uid
from autograder.sandbox.watchdog import Watchdog

START_S = 60.0  # of the child's own time; importing torch from a cold disk takes 20
TICK_S = 0.2  # how long a wait may take to notice that the process has ended
CHUNK = 1 << 20


class Child(AbstractContextManager["Child"]):
    """A process that runs `<code_dir>/runner.py` in the sandbox, from construction to `close`.

    Use it from the thread that made it: the kernel ends a sandbox when the thread that started it ends. `hide` names
    folders of site-packages that the child finds empty, such as data sets. With `sandboxed=False` only the limits hold,
    not the walls, and the caller must mark the result. With a `zygote` the process is forked from it if possible.
    Failure("infrastructure_error", ...) if the process cannot be started.
    """

    def __init__(
        self,
        code_dir: Path,
        limits: Limits,
        *,
        sandboxed: bool = True,
        threads: int = 1,
        hide: Sequence[str] = DATA,
        zygote: Zygote | None = None,
    ) -> None:
        if os.name != "posix":
            raise Failure("infrastructure_error", "Answers run on Linux or macOS; on Windows type `wsl --install`.")
        if sandboxed and (why := available()):
            raise Failure("infrastructure_error", why)
        self.limits = limits
        self._zygote = zygote if sandboxed and threads == THREADS else None
        self._start = partial(self._begin, code_dir, sandboxed, threads, hide)
        self._said, self._peak = "", 0  # from earlier processes, before a `renew`
        self._start()

    def _begin(self, code_dir: Path, sandboxed: bool, threads: int, hide: Sequence[str]) -> None:
        self._failure: Failure | None = None
        self._uid = Uid()
        self._folder = temporary(ignore_cleanup_errors=True)
        try:
            code = launch.readable_copy(code_dir, Path(self._folder.name))
            inside = {"uid": self._uid.number, "hide": hide}
            if forked := self._zygote and self._zygote.start(code, self.limits, **inside):
                self._process = forked.process
            elif sandboxed:
                self._process = launch.inside(code, self.limits, threads=threads, **inside)
            else:
                self._process = launch.outside(code, self.limits, threads=threads)
        except (OSError, shutil.Error) as error:
            self._folder.cleanup()
            self._uid.close()
            raise Failure("infrastructure_error", f"The answer's process could not be started ({error}).") from error
        self._output = Output(self._process.stderr, self.limits.output_bytes)
        stray_home = None if sandboxed else str(launch.home(code))
        self._watchdog = Watchdog(self._process, self.limits, stray_home, forked.runner if forked else None)
        try:
            for pipe in (self._process.stdin, self._process.stdout):
                os.set_blocking(pipe.fileno(), False)
                launch.widen(pipe.fileno())
            self._output.start()
            self._watchdog.start()
            self._wait_until_ready()
        except Failure as failure:
            self.close()
            if not forked:
                raise
            self._zygote.give_up(failure.message)  # whatever went wrong, the fresh process does not depend on it
            self._start()
        except BaseException:
            self.close()
            raise

    def renew(self) -> None:
        """End the process and start another from the same files and limits, with nothing loaded."""
        self.close()
        self._said, self._peak = self.printed, self.peak_bytes
        self._start()

    def beside(self) -> "Child":
        """Return another child with the same files and limits, with nothing loaded. The caller closes it."""
        code_dir, sandboxed, threads, hide = self._start.args
        same = {"sandboxed": sandboxed, "threads": threads, "hide": hide, "zygote": self._zygote}
        return Child(code_dir, self.limits, **same)

    def ask(
        self, header: dict, tensors: Tensors | None = None, timeout_s: float = 20.0, serve: Serve | None = None
    ) -> Message:
        """Send one request and return its reply. `serve` answers what the child asks of a model before that.

        A Failure ends the child, and asking again raises the same Failure. `timeout_s` limits the time in which the
        child computes or sleeps, not the time in which it waits for a processor (deadline.py).
        """
        if self._failure:
            raise self._failure
        frame = protocol.encode(header, tensors)
        try:
            self._expect_silence()
            with self._watchdog.asking():
                deadline = Deadline(self._watchdog, timeout_s)
                self._send(frame, deadline)
                message = self._receive(deadline)
                while protocol.EVALUATE in message[0]:
                    self._send(self._served(message[1], serve), deadline)
                    message = self._receive(deadline)
                return message
        except Failure as failure:
            self._failure = failure
            self.close()
            raise

    def _served(self, given: Tensors, serve: Serve | None) -> bytes:
        """Return the frame that answers the child's question to a model."""
        if serve is None:
            raise Failure("invalid_output", "The answer's process called a model that this question does not have.")
        self._expect_silence()
        self._watchdog.doing, start = "serving", time.thread_time()
        frame = protocol.encode(*serve(given))
        self._watchdog.lent += time.thread_time() - start
        return frame

    @property
    def printed(self) -> str:
        """What the child has written to stdout and stderr so far, without the middle if it is long."""
        return self._said + self._output.text()

    @property
    def peak_bytes(self) -> int:
        """The most memory that its processes were seen to use together."""
        return max(self._peak, self._watchdog.peak_bytes)

    def close(self) -> None:
        """End every process of the child and release what it held. Can be called more than once."""
        self._failure = self._failure or Failure("crash", "The answer's process has been closed.")
        self._watchdog.close()
        self._output.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()
        self._folder.cleanup()
        self._uid.close()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _wait_until_ready(self) -> None:
        try:
            with self._watchdog.asking():
                header, _ = self._receive(Deadline(self._watchdog, START_S, "it was not ready"))
            if header != {"ready": True}:
                raise Failure("invalid_output", "its first message was not that it is ready")
        except Failure as failure:
            self.close()  # first, so that everything printed has arrived
            said = self.printed.strip().splitlines()[-1:]
            reason = f"{failure.message} {said[0] if said else ''}".strip()
            raise Failure("infrastructure_error", f"The answer's process did not start: {reason}") from failure
        self._watchdog.begin()

    def _expect_silence(self) -> None:
        """Raise Failure if anything is in the pipe before a request is sent: it would be taken for the reply."""
        try:
            early = os.read(self._process.stdout.fileno(), 1)
        except BlockingIOError:
            return
        if not early:
            raise self._death()
        raise Failure("invalid_output", "The answer's process sent a result before it was asked for one.")

    def _send(self, frame: bytes, deadline: Deadline) -> None:
        self._watchdog.doing = "sending"
        fd, rest = self._process.stdin.fileno(), memoryview(frame)
        while rest:
            self._wait(fd, selectors.EVENT_WRITE, deadline)
            try:
                rest = rest[os.write(fd, rest[:CHUNK]) :]
            except OSError:  # nobody is left to read: the pipe is broken, or full and its process has ended
                raise self._death() from None

    def _receive(self, deadline: Deadline) -> Message:
        self._watchdog.doing = "receiving"
        text_bytes, blob_bytes = protocol.PREFIX.unpack(self._read(protocol.PREFIX.size, deadline))
        if text_bytes > protocol.MAX_HEADER or text_bytes + blob_bytes > self.limits.message_bytes:
            raise Failure("invalid_output", "The answer's process sent a result that is too large, or no valid one.")
        text, blob = self._read(text_bytes, deadline), self._read(blob_bytes, deadline)
        try:
            return protocol.decode(text, blob)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in safetensors' Rust is not an Exception
            raise Failure("invalid_output", "The answer's process sent a malformed result.") from error

    def _read(self, count: int, deadline: Deadline) -> bytes:
        """Return exactly count bytes. Memory grows with what arrives, not with what was announced."""
        fd, got = self._process.stdout.fileno(), bytearray()
        while len(got) < count:
            self._wait(fd, selectors.EVENT_READ, deadline)
            try:
                part = os.read(fd, min(CHUNK, count - len(got)))
            except BlockingIOError:  # the process has ended, but another one still holds its end of the pipe
                part = b""
            if not part:
                raise self._death()
            got += part
        return bytes(got)

    def _wait(self, fd: int, event: int, deadline: Deadline) -> None:
        """Wait until the pipe is ready or the process has ended; Failure once the deadline has passed."""
        with selectors.PollSelector() as selector:
            selector.register(fd, event)
            while (left := deadline.left) > 0:  # checked first, since the pipe may always be ready
                if selector.select(min(TICK_S, left)) or self._process.poll() is not None:
                    return
        raise deadline.failure

    def _death(self) -> Failure:
        """Return the reason why nobody is at the other end."""
        try:
            code = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            return Failure("crash", "The answer's process closed its connection to the grader.")
        if self._watchdog.verdict:
            return Failure(*self._watchdog.verdict)
        number = -code if code < 0 else code - 128  # bubblewrap reports signals as a shell does
        if number in set(signal.Signals):
            return Failure("crash", f"The answer's process was ended by {signal.Signals(number).name}.")
        return Failure("crash", f"The answer's process ended with exit status {code} and gave no result.")
