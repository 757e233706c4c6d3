"""Watches a child from outside: what its processes use together, and that none of them stays behind."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from autograder.sandbox.census import Sandbox
from autograder.sandbox.limits import BUSY, GIB, Failure, Limits
from autograder.sandbox.processes import GONE, Tree, alive, below

PAUSE_S = 0.05  # one core fills about 0.3 GiB meanwhile; a look takes 1 ms
FAIR_S, SPAN_S = 1.5, 1.0  # processor seconds in this time: an answer has one core, and who takes more goes to the back
LATE_S = 0.25  # the most that one look may count as sleep: if we looked late, the machine was busy
PATIENCE_S = 5.0  # for killed processes to disappear


class Watchdog(threading.Thread):
    """A thread that ends the child's processes, all of them, when together they exceed a limit.

    `verdict` is then (outcome, sentence), with BUSY as a third where the machine was; it is set before the first
    signal, so whoever sees a process die can trust that its reason is already there.
    """

    def __init__(
        self,
        process: subprocess.Popen,
        limits: Limits,
        stray_home: str | None = None,
        joined: psutil.Process | None = None,
    ) -> None:
        """Without a sandbox, `stray_home` is the HOME by which processes are known that left the tree of `process`.

        `joined` is a process that has entered the sandbox of `process` from elsewhere (forks.py).
        """
        super().__init__(name=f"watchdog of {process.pid}", daemon=True)
        self.verdict: tuple[str, ...] | None = None
        self.peak_bytes = 0
        self.spent = 0.0  # seconds that the child has taken so far: computing, or asleep over a question
        self.deadline = float("inf")  # on time.monotonic(), once start-up is over
        self._process = process
        self._root = psutil.Process(process.pid)
        self._limits = limits
        self._stray_home = stray_home
        self._roots = [self._root, joined] if joined else [self._root]
        self._ours = 3 if joined else 2  # processes: the init, the runner, and who keeps the place of one that joined
        self._held = Tree(self._root) if stray_home else Sandbox(self._root, self._ours)
        self._used, self._since = 0.0, time.monotonic()  # processor seconds at the last settling
        self._cpu_s, self._looked = 0.0, time.monotonic()  # processor seconds at the last look
        self._asked: float | None = None  # since when a question is open; between questions a child may sleep
        self._ended = threading.Event()
        self._looking, self._killing = threading.Lock(), threading.Lock()

    def run(self) -> None:
        try:
            while self.verdict is None and not self._ended.wait(PAUSE_S):
                with self._looking:
                    self.verdict = self._look()
        except Exception as error:  # without a watchdog nothing is bounded, so fail closed
            self.verdict = ("infrastructure_error", f"The watchdog of the sandbox failed ({error!r}).")
        if self.verdict:
            self.kill()

    def begin(self) -> None:
        """Start-up is over: what it took, to the last moment, is not charged to the answer."""
        if not self._held.ready:
            raise Failure("infrastructure_error", "The sandbox cannot be watched here: its /proc is not readable.")
        with self._looking:
            self._look()  # a limit that is exceeded already is so at the next look as well
            self.spent, self.deadline = 0.0, time.monotonic() + self._limits.wall_s

    def open(self, path: str) -> int:
        """A descriptor that leads to a file of the sandbox; OSError while it is not there."""
        with self._looking:
            return self._held.open(path)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While a question is open, sleeping counts as well."""
        self._asked = time.monotonic()
        try:
            yield
        finally:
            self._asked = None

    def close(self) -> None:
        """Stop watching and leave no process behind."""
        self._ended.set()
        self.kill()
        if self.is_alive():
            self.join(PATIENCE_S)
        self._held.close()

    def kill(self) -> None:
        """End every process of the child, and wait until they are gone."""
        with self._killing:
            victims = dict.fromkeys(self._held.seen)  # as an ordered set
            with suppress(*GONE):
                self._freeze()  # so that it starts nothing between our look and our blow
                # The nearest first: in the sandbox that is the init of the PID namespace, with which all others die,
                # also those that we have not seen. The kernel ends it only when they have gone.
                victims = dict.fromkeys([*self._root.children(recursive=True), *victims])
            for victim in victims:
                with suppress(*GONE):
                    victim.kill()
            with suppress(*GONE):
                if victims and not self._stray_home:
                    self._root.resume()  # bubblewrap ends with its init, and reaps it, as a container's PID 1 may not
                else:
                    self._root.kill()
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(PATIENCE_S)
            for _ in range(5):  # a stray may start another while we look; whoever hides on purpose needs the sandbox
                for stray in (strays := self._strays()):
                    with suppress(*GONE):
                        stray.kill()
                victims |= dict.fromkeys(strays)
                if not strays:
                    break
            deadline = time.monotonic() + PATIENCE_S
            while any(map(alive, victims)) and time.monotonic() < deadline:
                time.sleep(0.002)

    def _strays(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter() if self._stray_home else ():
            with suppress(*GONE):
                if process.environ().get("HOME") == self._stray_home and alive(process):
                    found.append(process)
        return found

    def _freeze(self) -> None:
        self._root.suspend()
        for _ in range(50):  # the signal takes effect when the process next leaves the kernel
            if self._root.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return
            time.sleep(0.001)

    def _look(self) -> tuple[str, ...] | None:
        """Measure once; the verdict if a limit is exceeded."""
        if time.monotonic() > self.deadline:
            return "timeout", f"The answer ran longer than {self._limits.wall_s:g} s in all.", BUSY
        tasks, used, cpu_s = self._held.use(self._limits.memory_bytes)
        self.peak_bytes = max(self.peak_bytes, used)
        if used > self._limits.memory_bytes:
            return "crash", f"The answer used more than {self._limits.memory_bytes / GIB:.1f} GiB of memory."
        cpu_s = max(cpu_s, self._cpu_s)  # who is reaped between two lines is missed once
        self._count(time.monotonic(), cpu_s)
        self._settle(cpu_s)
        if cpu_s > self._limits.cpu_s:
            return "crash", f"The answer used more than {self._limits.cpu_s:g} s of processor time."
        if self.spent > self._limits.cpu_s:
            return "timeout", f"The answer took longer than {self._limits.cpu_s:g} s in all."
        if tasks > self._limits.processes + self._ours:
            return "crash", f"The answer started more than {self._limits.processes} processes."
        return None

    def _count(self, now: float, cpu_s: float) -> None:
        """Add to `spent` what was computed since the last look, or the time that went by where nobody wants to compute.

        Who waits for a processor wants to: this time is the machine's, not the child's.
        """
        asked, computed = self._asked, max(0.0, cpu_s - self._cpu_s)
        slept = 0.0 if asked is None else min(LATE_S, now - max(asked, self._looked))
        if slept > computed and self._held.busy():
            slept = 0.0
        self.spent += max(computed, slept)
        self._cpu_s, self._looked = cpu_s, now

    def _settle(self, cpu_s: float) -> None:
        """Lowest priority for whoever uses more than one core, so that the answer beside it keeps its own."""
        now = time.monotonic()
        if now - self._since < SPAN_S:
            return
        if cpu_s - self._used > FAIR_S * (now - self._since):
            for root in self._roots:
                with suppress(*GONE):
                    for process in [root, *below(root)]:
                        with suppress(*GONE):
                            process.nice(19)  # what it starts later inherits it, and only root can go back
        self._used, self._since = cpu_s, now
