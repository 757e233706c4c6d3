"""Keeps freed memory for the next tensor.

By itself glibc returns large blocks to the kernel, which clears them again for whoever asks next: for the tensors of a
gate's sampling, between a tenth and a fifth of the time.
"""

import ctypes
import sys
from contextlib import suppress

from autograder.sandbox.limits import MIB

OPTIONS = {  # mallopt(3): number and value
    "MALLOC_MMAP_THRESHOLD_": (-3, 32 * MIB),  # smaller blocks come from the heap; the most that glibc allows
    "MALLOC_TRIM_THRESHOLD_": (-1, 256 * MIB),  # so much free memory stays
}
ENVIRONMENT = {name: str(value) for name, (_, value) in OPTIONS.items()}  # for a process that is yet to start


def keep() -> None:
    """From now on, in this process; where there is no glibc, nothing."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            for number, value in OPTIONS.values():
                mallopt(number, value)
