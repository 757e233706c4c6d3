"""Limits how long a request may take, measured by the child's own time and not by the clock on the wall.

On a busy machine a correct answer may wait minutes for a processor. What counts is the time that the request would have
taken on an idle machine, which the watchdog keeps in `spent`: the time in which the child's processes computed, plus
the time in which none of them wanted to compute (a sleep, a lock, a wait for input that never comes). The wall clock is
only a backstop, for a child that arranged to be served last or a machine that is hopelessly overloaded.
"""

import time

from autograder.sandbox.limits import BUSY, Failure
from autograder.sandbox.watchdog import Watchdog

SLACK = 10.0  # wall clock per second allowed: 20 programs on 2 cores; a well-behaved child is served long before that


class Deadline:
    """Runs from construction. `what` starts the failure's sentence: "`what` within 5 s."."""

    def __init__(self, watchdog: Watchdog, seconds: float, what: str = "The answer gave no result") -> None:
        self._watchdog = watchdog
        self._until, self._end = watchdog.spent + seconds, time.monotonic() + SLACK * seconds
        self._late = Failure("timeout", f"{what} within {seconds:g} s.")
        self._busy = Failure("timeout", f"{what} within {SLACK * seconds:g} s on a busy machine; grade it again.", BUSY)

    @property
    def left(self) -> float:
        """Seconds after which it is worth looking again. At 0 or below, the request has failed."""
        return min(self._until - self._watchdog.spent, self._end - time.monotonic())

    @property
    def failure(self) -> Failure:
        """The reason, once no time is left. If the watchdog struck at the same moment, its reason is the better one."""
        if self._watchdog.verdict:
            return Failure(*self._watchdog.verdict)
        return self._busy if time.monotonic() >= self._end else self._late
