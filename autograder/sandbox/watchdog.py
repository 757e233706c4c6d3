"""Watches a child from outside: limits what its processes use together, and leaves none of them behind."""

import select
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from autograder.sandbox.census import Sandbox
from autograder.sandbox.limits import BUSY, GIB, Failure, Limits
from autograder.sandbox.processes import GONE, Tree, alive, below

PAUSE_S = 0.05  # between measurements, each of which takes 1 ms; one core fills about 0.3 GiB in this time
FAIR_S, SPAN_S = 1.5, 1.0  # processor seconds per span: an answer has one core, and using more costs it its priority
LATE_S = 0.25  # the most that one measurement can count as sleep: if it came late, the machine was busy
PATIENCE_S = 5.0  # for killed processes to disappear


class Watchdog(threading.Thread):
    """A thread that ends all of the child's processes when together they exceed a limit.

    `verdict` is then (outcome, sentence), with BUSY as a third item if the machine was busy. It is set before the first
    signal, so anyone who sees a process die can rely on the reason being there.
    """

    def __init__(
        self,
        process: subprocess.Popen,
        limits: Limits,
        stray_home: str | None = None,
        joined: psutil.Process | None = None,
    ) -> None:
        """Watch `process`.

        Without a sandbox, `stray_home` is the HOME that identifies processes which have left the tree of `process`.
        `joined` is a process that has entered the sandbox of `process` from elsewhere (forks.py).
        """
        super().__init__(name=f"watchdog of {process.pid}", daemon=True)
        self.verdict: tuple[str, ...] | None = None
        self.peak_bytes = 0
        self.spent = 0.0  # seconds that the child has taken so far: computing, or asleep while a request is open
        self.lent = 0.0  # processor seconds in which we computed for the child so far; they count as its own
        self.doing = "sending"  # what the grader does while a request is open, or "receiving", or "serving" the child
        self.deadline = float("inf")  # on time.monotonic(), once start-up is over
        self._process = process
        self._root = psutil.Process(process.pid)
        self._limits = limits
        self._stray_home = stray_home
        self._roots = [self._root, joined] if joined else [self._root]
        self._ours = 3 if joined else 2  # processes: the init, the runner, and the placeholder of one that joined
        self._held = Tree(self._root) if stray_home else Sandbox(self._root, self._ours)
        self._used, self._since = 0.0, time.monotonic()  # processor seconds at the last `_settle`
        self._cpu_s, self._looked = 0.0, time.monotonic()  # processor seconds at the last `_look`
        self._charged = 0.0  # of `lent`
        self._asked: float | None = None  # when the open request was sent; between requests a child may sleep
        self._ended = threading.Event()
        self._looking, self._killing = threading.Lock(), threading.Lock()

    def run(self) -> None:
        try:
            while self.verdict is None and not self._ended.wait(PAUSE_S):
                with self._looking:
                    self.verdict = self._look()
        except Exception as error:  # without a watchdog nothing is limited, so fail closed
            self.verdict = ("infrastructure_error", f"The watchdog of the sandbox failed ({error!r}).")
        if self.verdict:
            self.kill()

    def begin(self) -> None:
        """Start charging the answer. What start-up took, to the last moment, is not charged to it.

        Failure("infrastructure_error", ...) if the sandbox cannot be watched.
        """
        with self._looking:
            if not self._held.ready:
                raise Failure("infrastructure_error", "The sandbox cannot be watched here: its /proc is not readable.")
            self._look()  # the verdict can be ignored: a limit that is exceeded now is found again at the next look
            self.spent, self.deadline = 0.0, time.monotonic() + self._limits.wall_s

    def open(self, path: str) -> int:
        """Return a descriptor of a file in the sandbox; OSError while there is none."""
        with self._looking:
            return self._held.open(path)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Mark a request as open. While it is, sleeping counts as well."""
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
        with self._looking:
            self._held.close()

    def kill(self) -> None:
        """End every process of the child, and wait until they are gone."""
        with self._killing:
            victims = dict.fromkeys(self._held.seen)  # as an ordered set
            with suppress(*GONE):
                self._freeze()  # so that it starts nothing between our listing its children and our killing them
                # The nearest first. In the sandbox that is the init of the PID namespace, with which all others die,
                # even those we have not seen. The kernel ends it only when they are gone.
                victims = dict.fromkeys([*self._root.children(recursive=True), *victims])
            for victim in victims:
                with suppress(*GONE):
                    victim.kill()
            with suppress(*GONE):
                if victims and not self._stray_home:
                    self._root.resume()  # bubblewrap ends with its init and reaps it, which a container's PID 1 may not
                else:
                    self._root.kill()
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(PATIENCE_S)
            for _ in range(5):  # a stray may start another meanwhile; only the sandbox stops one that hides on purpose
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
        """Measure once; return the verdict if a limit is exceeded."""
        if time.monotonic() > self.deadline:
            return "timeout", f"The answer ran longer than {self._limits.wall_s:g} s in all.", BUSY
        tasks, used, cpu_s = self._held.use(self._limits.memory_bytes)
        self.peak_bytes = max(self.peak_bytes, used)
        if used > self._limits.memory_bytes:
            return "crash", f"The answer used more than {self._limits.memory_bytes / GIB:.1f} GiB of memory."
        cpu_s = max(cpu_s, self._cpu_s)  # a process that is reaped between two lines is missed once
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
        """Add to `spent` the processor time since the last measurement, or the time that passed if no thread wants any.

        A thread that waits for a processor does want some. That time is the machine's fault, not the child's, and so is
        the time in which the child waits for us.
        """
        asked, computed = self._asked, max(0.0, cpu_s - self._cpu_s)
        slept = 0.0 if asked is None else min(LATE_S, now - max(asked, self._looked))
        if slept > computed and (self._waits_for_us() or self._held.busy()):
            slept = 0.0
        lent = self.lent
        self.spent += max(computed, slept) + lent - self._charged
        self._charged = lent
        self._cpu_s, self._looked = cpu_s, now

    def _waits_for_us(self) -> bool:
        """Whether we have not read or answered yet what the child sent."""
        if self.doing != "receiving":
            return self.doing == "serving"
        with suppress(OSError, ValueError):  # the pipe has been closed
            poll = select.poll()
            poll.register(self._process.stdout, select.POLLIN)
            return any(event & select.POLLIN for _, event in poll.poll(0))
        return False

    def _settle(self, cpu_s: float) -> None:
        """Give a child that uses more than one core the lowest priority, so that other answers keep their cores."""
        now = time.monotonic()
        if now - self._since < SPAN_S:
            return
        if cpu_s - self._used > FAIR_S * (now - self._since):
            for root in self._roots:
                with suppress(*GONE):
                    for process in [root, *below(root)]:
                        with suppress(*GONE):
                            process.nice(19)  # its later children inherit this, and only root can undo it
        self._used, self._since = cpu_s, now
