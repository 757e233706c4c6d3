"""What the system says of processes, any of which may end between two lines."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

GONE = (psutil.Error, OSError)  # what a look at a process may raise when it has ended, or is none of ours


class Use(NamedTuple):
    """What a child's processes use together at one look."""

    tasks: int  # processes; in the sandbox with their threads
    memory: int
    cpu_s: float


class Tree:
    """A process outside the sandbox and its descendants; also those that it started and that left it since."""

    ready = True

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self.seen: set[psutil.Process] = set()

    def use(self, enough: int) -> Use:
        """`enough`: the memory from which on it is worth knowing exactly, with pages that processes share once."""
        with suppress(*GONE):
            self.seen.update(below(self._root))
        self.seen = {process for process in self.seen if alive(process)}
        processes = [self._root, *self.seen]
        memory = sum(map(resident, processes))
        if memory > enough and len(processes) > 1:
            memory = sum(map(share, processes))  # slower
        return Use(len(processes), memory, sum(map(cpu_seconds, processes)))

    def busy(self) -> bool:
        """Whether any thread computes or waits for a processor."""
        return any(map(wants_to_run, [self._root, *self.seen]))

    def close(self) -> None:
        """Nothing is held."""


def below(root: psutil.Process) -> list[psutil.Process]:
    """What descends from it. Linux keeps lists of children, which may lack one that is just being born, until the next
    look; elsewhere all processes of the machine are searched, and on a server these are many."""
    if not Path(f"/proc/{root.pid}/task/{root.pid}/children").is_file():
        return root.children(recursive=True)
    found = [root]
    for parent in found:  # which grows meanwhile
        for children in _of_threads(parent.pid, "children"):
            for pid in children.split():
                with suppress(psutil.Error):
                    found.append(psutil.Process(int(pid)))
    return found[1:]


def _of_threads(pid: int, name: str) -> Iterator[bytes]:
    """The file of that name of every thread, as far as they are still there."""
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
    """Resident memory with shared pages divided among their users, where the system tells."""
    with suppress(*GONE, AttributeError):
        return process.memory_full_info().pss
    return resident(process)


def cpu_seconds(process: psutil.Process) -> float:
    with suppress(*GONE):
        return sum(process.cpu_times()[:4])  # user and system, and the same of children that have ended
    return 0.0


def wants_to_run(process: psutil.Process) -> bool:
    """Whether any of its threads computes or waits for a processor; without /proc, whether the process does."""
    if any(stat.rpartition(b") ")[2].startswith(b"R") for stat in _of_threads(process.pid, "stat")):
        return True
    with suppress(*GONE):
        return process.status() == psutil.STATUS_RUNNING
    return False


def own_threads() -> int:
    """All threads of this user on this machine."""
    total = 0
    for process in psutil.process_iter():
        with suppress(*GONE):
            total += process.num_threads() if process.uids().real == os.getuid() else 0
    return total
