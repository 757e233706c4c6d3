"""How long a question may take: by the time that the child took, not by the clock on the wall.

On a busy machine a right answer may wait for a processor for minutes. So what counts is the time that the question
would have taken on an idle machine, which the watchdog keeps in `spent`: what the child's processes computed, and the
time in which none of them wanted to compute (a sleep, a lock, a wait for input that never comes). The wall clock is
only a backstop, for a child that arranged to be served last, or a machine that is hopelessly overloaded.
"""

import time

from autograder.sandbox.limits import BUSY, Failure
from autograder.sandbox.watchdog import Watchdog

SLACK = 10.0  # of the wall clock: 2 cores shared by 20 programs; a child that behaves is served long before


class Deadline:
    """Runs from construction on. `what` did not come, says the failure."""

    def __init__(self, watchdog: Watchdog, seconds: float, what: str = "The answer gave no result") -> None:
        self._watchdog = watchdog
        self._until, self._end = watchdog.spent + seconds, time.monotonic() + SLACK * seconds
        self._late = Failure("timeout", f"{what} within {seconds:g} s.")
        self._busy = Failure("timeout", f"{what} within {SLACK * seconds:g} s on a busy machine; grade it again.", BUSY)

    @property
    def left(self) -> float:
        """Seconds after which it is worth looking again; none left: the question has failed."""
        return min(self._until - self._watchdog.spent, self._end - time.monotonic())

    @property
    def failure(self) -> Failure:
        """Why, once nothing is left; the watchdog's reason, if it struck at the same moment, is the better one."""
        if self._watchdog.verdict:
            return Failure(*self._watchdog.verdict)
        return self._busy if time.monotonic() >= self._end else self._late
