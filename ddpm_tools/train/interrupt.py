"""Ctrl-C and SIGTERM as requests that take effect between two steps, so that weights are never half-updated."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(KeyboardInterrupt):
    """A run that was asked to stop and has saved; `code` is the exit status that shells expect."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.code = 128 + number


class Request:
    """The signals received so far."""

    number = 0  # of the first signal
    patient = False  # whether a second Ctrl-C must wait too: while saving, and with several processes

    def __bool__(self) -> bool:
        return self.number > 0

    def receive(self, number: int, frame: object) -> None:
        if self and number == signal.SIGINT and not self.patient:
            raise KeyboardInterrupt  # the user will not wait for the end of a long step
        self.number = self.number or number


@contextmanager
def requests() -> Iterator[Request]:
    """Collect SIGINT and SIGTERM inside the block. Only the main thread gets signals; elsewhere this does nothing."""
    request, before = Request(), {}
    if threading.current_thread() is threading.main_thread():
        before = {s: signal.signal(s, request.receive) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
