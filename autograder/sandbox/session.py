"""One exercise's child, from staging its files to closing it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autograder.exercises.base import Exercise
from autograder.sandbox.child_process import Child
from autograder.sandbox.forks import Zygote
from autograder.sandbox.limits import Limits
from autograder.sandbox.scratch import temporary
from autograder.sandbox.staging import hidden, stage

THREADS = 1  # per child, for any number of jobs: another count rounds differently, and two children share 2 cores


@contextmanager
def session(
    exercise: Exercise,
    limits: Limits,
    *,
    sandboxed: bool = True,
    threads: int = THREADS,
    zygote: Zygote | None = None,
) -> Iterator[Child]:
    """Yield a child that sees what this exercise's answers may see and nothing else, forked from `zygote` if given."""
    with temporary() as folder:
        code = stage(exercise, Path(folder) / "code")
        with Child(code, limits, sandboxed=sandboxed, threads=threads, hide=hidden(exercise), zygote=zygote) as child:
            yield child
