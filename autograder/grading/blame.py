"""Whose fault is it when judging stops? Anything an answer's data causes is the answer's fault.

A check computes with what an answer's process sent. If that computation raises something other than a verdict, the
points of the check, or of the gate, are lost. Otherwise an answer that is about to fail could choose to have no score.
The kind of exception does not matter, with three exceptions that are ours because an answer cannot cause them: OSError,
since no check opens a file, a pipe or a socket named by a reply; MemoryError, since replies are small
(Limits.message_bytes) and their shapes are known before anything is computed; and anything that is not an Exception,
such as Ctrl-C.

A mistake of our own in a check ends up here too. It cannot hide: the traceback goes to instructor.json, the report and
the terminal name the notebook, and the tests judge right answers without this module, or verify that it did nothing.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autograder.exercises.base import Failed
from autograder.sandbox.limits import Failure

OURS = (OSError, MemoryError)
LONGEST = 4000  # characters kept of a traceback: an exception can quote a reply


class Unusable(Failed):
    """The reply stopped the check that was judging it."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"what your code returned could not be judged, since it stopped the check with a {kind}: look at the "
            "type, dtype and shape of every result, also in a second call. Your instructor can see the details"
        )


def trace_of(e: Exception) -> str:
    """For the instructor: where it was raised and what it says."""
    return "".join(traceback.format_exception(e, limit=-6))[-LONGEST:]


@contextmanager
def of_the_answer(note: Callable[[str], object]) -> Iterator[None]:
    """Inside, an exception that is not a verdict becomes Unusable; `note` gets the traceback, for the instructor."""
    try:
        yield
    except (Failed, Failure, *OURS):
        raise
    except Exception as e:
        note(trace_of(e))
        raise Unusable(type(e).__name__) from e
