"""Whose fault is it where judging stops? What an answer's data brought about is the answer's.

A check computes with what an answer's process sent. Where that computation raises something that is no verdict, the
check, or the gate, is lost: otherwise whoever is about to fail could choose to have no score instead. So nothing is
asked of what was raised, except that these are ours, and an answer cannot bring them about: OSError, since no check
opens a file, a pipe or a socket by what a reply says; MemoryError, since replies are small (Limits.message_bytes) and
are computed with once their shapes are known; and what is no Exception, such as Ctrl-C.

A mistake of our own in a check ends here too. It cannot hide: the traceback goes to instructor.json, the notebook is
named in the report and on the terminal, and the tests judge right answers without this module, or see that it had
nothing to do.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autograder.exercises.base import Failed
from autograder.sandbox.limits import Failure

OURS = (OSError, MemoryError)
LONGEST = 4000  # characters of a traceback that are kept: an exception may quote a reply


class Unusable(Failed):
    """What came back stopped the check that was to judge it."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"what your code returned could not be judged, the check stopped at it with a {kind}: look at type, dtype "
            "and shape of every result, at a second call as at the first; the instructor sees the details"
        )


def trace_of(e: Exception) -> str:
    """For the instructor: where it was raised, and what it says."""
    return "".join(traceback.format_exception(e, limit=-6))[-LONGEST:]


@contextmanager
def of_the_answer(note: Callable[[str], object]) -> Iterator[None]:
    """Within, an exception that is no verdict becomes Unusable; `note` gets the traceback, for the instructor."""
    try:
        yield
    except (Failed, Failure, *OURS):
        raise
    except Exception as e:
        note(trace_of(e))
        raise Unusable(type(e).__name__) from e
