"""A user id for each child, so that one child's fork bomb does not use up another's processes.

The kernel counts processes by user id, and graders may run side by side. Whoever holds the abstract socket of an id has
the id: no file to make or to leave behind, and the kernel lets go of it however the grader ends.
"""

import os
import socket
import sys

from autograder.sandbox.limits import Failure

FIRST, COUNT = 61000, 184  # between the accounts of people and the ids that systemd gives to services
PLACEHOLDER = FIRST - 1  # of what keeps a place in a sandbox (forks.py), for all sandboxes: it waits, and does nothing


class Uid:
    """An id that no other child of this machine has, until `close`. An ordinary user's child has that user's own."""

    def __init__(self) -> None:
        # abstract sockets are Linux's, and so is the sandbox that changes the user
        root = os.geteuid() == 0 and sys.platform.startswith("linux")
        self._held, self.number = _first_free() if root else (None, os.geteuid())

    def close(self) -> None:
        if self._held:
            self._held.close()


def _first_free() -> tuple[socket.socket, int]:
    for number in range(FIRST, FIRST + COUNT):
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0autograder-uid-{number}")
            return held, number
        except OSError:  # somebody's
            held.close()
    raise Failure("infrastructure_error", f"All {COUNT} user ids for answers are taken; start fewer graders at once.")
