"""Asks the system about processes, any of which may end between two lines."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

GONE = (psutil.Error, OSError)  # raised by queries about a process that has ended or is not ours


class Use(NamedTuple):
    """What a child's processes use together at one moment."""

    tasks: int  # processes; in the sandbox, threads
    memory: int
    cpu_s: float


class Tree:
    """A process outside the sandbox and all descendants ever seen, even if they have been orphaned since."""

    ready = True

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self.seen: set[psutil.Process] = set()

    def use(self, enough: int) -> Use:
        """Measure it. Above `enough` bytes, memory is measured exactly, with shared pages counted once."""
        with suppress(*GONE):
            self.seen.update(below(self._root))
        self.seen = {process for process in self.seen if alive(process)}
        processes = [self._root, *self.seen]
        memory = sum(map(resident, processes))
        if memory > enough and len(processes) > 1:
            memory = sum(map(share, processes))  # slower
        return Use(len(processes), memory, sum(map(cpu_seconds, processes)))

    def busy(self) -> bool:
        """Whether any thread is computing or waiting for a processor."""
        return any(map(wants_to_run, [self._root, *self.seen]))

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def below(root: psutil.Process) -> list[psutil.Process]:
    """Return all its descendants.

    Linux keeps lists of children, which may lack one that is just starting. Elsewhere all processes of the machine are
    searched, which is slow on a server.
    """
    if not Path(f"/proc/{root.pid}/task/{root.pid}/children").is_file():
        return root.children(recursive=True)
    found = [root]
    for parent in found:  # the list grows during the loop
        for children in _of_threads(parent.pid, "children"):
            for pid in children.split():
                with suppress(psutil.Error):
                    found.append(psutil.Process(int(pid)))
    return found[1:]


def _of_threads(pid: int, name: str) -> Iterator[bytes]:
    """Yield the contents of /proc's file `name` for each thread that still exists."""
    threads: Iterable[str] = ()
    with suppress(OSError):
        threads = os.listdir(f"/proc/{pid}/task")
    for thread in threads:
        with suppress(OSError):
            yield Path(f"/proc/{pid}/task/{thread}/{name}").read_bytes()


def alive(process: psutil.Process) -> bool:
    with suppress(*GONE):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def resident(process: psutil.Process) -> int:
    with suppress(*GONE):
        return process.memory_info().rss
    return 0


def share(process: psutil.Process) -> int:
    """Return resident memory with shared pages divided among their users, if the system reports that."""
    with suppress(*GONE, AttributeError):
        return process.memory_full_info().pss
    return resident(process)


def cpu_seconds(process: psutil.Process) -> float:
    with suppress(*GONE):
        return sum(process.cpu_times()[:4])  # user and system, of the process and of its children that have ended
    return 0.0


def wants_to_run(process: psutil.Process) -> bool:
    """Whether any of its threads is computing or waiting for a processor; without /proc, whether the process is."""
    if any(stat.rpartition(b") ")[2].startswith(b"R") for stat in _of_threads(process.pid, "stat")):
        return True
    with suppress(*GONE):
        return process.status() == psutil.STATUS_RUNNING
    return False


def own_threads() -> int:
    """Return the number of threads that this user has on this machine."""
    total = 0
    for process in psutil.process_iter():
        with suppress(*GONE):
            total += process.num_threads() if process.uids().real == os.getuid() else 0
    return total
