"""This Python interpreter as a file that nobody can write to."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def sealed() -> Iterator[tuple[str, int]]:
    """Yield its path and the descriptor of a sealed copy in memory (memfd_create(2)); OSError if the kernel has none.

    A process can reach the file it was started from, past every mount, and root could write to it.
    """
    import fcntl  # exists on Linux, and this function only runs there

    program = os.memfd_create("python", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(sys.executable, "rb") as source, open(program, "wb", closefd=False) as copy:
            copy.write(source.read())
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
        fcntl.fcntl(program, fcntl.F_ADD_SEALS, seals)
        yield sys.executable, program
    finally:
        os.close(program)
