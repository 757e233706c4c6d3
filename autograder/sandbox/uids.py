"""A user id for each child, so that one child's fork bomb does not use up another's processes.

The kernel counts processes by user id, and graders may run side by side. The process that holds an id's abstract socket
owns the id. So there is no file to make or leave behind, and the kernel frees the socket however the grader ends.
"""

import os
import socket
import sys

from autograder.sandbox.limits import Failure

FIRST, COUNT = 61000, 184  # between people's accounts and the ids that systemd gives to services
PLACEHOLDER = FIRST - 1  # shared by the placeholders in all sandboxes (forks.py), which only wait


class Uid:
    """An id that no other child on this machine has, until `close`. An ordinary user's child has that user's id."""

    def __init__(self) -> None:
        # only Linux has abstract sockets, and the sandbox that changes the user
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
        except OSError:  # taken
            held.close()
    raise Failure("infrastructure_error", f"All {COUNT} user ids for answers are taken; start fewer graders at once.")
