"""Measures what a sandbox uses, from its own /proc, where no process is missing, however short its life.

Processor time. A parent that waits for a child is charged with the child's time, and the sandbox's init waits for every
orphan. The system-call filter prevents SIGCHLD from being ignored, which would lose the time. So the time of running
processes, of those waiting to be reaped, and of the dead children of both is all the time ever used.

Memory. Besides resident and swapped-out memory there is what the kernel holds on behalf of processes and no process's
figure includes: page tables, mappings, files of the tmpfs, sockets.
"""

import os
from contextlib import suppress
from typing import NamedTuple

import psutil

from autograder.sandbox.limits import KIB, MIB
from autograder.sandbox.processes import Use, below

PROCESS_BYTES = 24 * MIB  # for 65,530 mappings, the most that a process can have
INODE_BYTES = 2 * KIB  # an empty file with a long name
SOCKET_BYTES = 512 * KIB  # the most that one can have in flight
TRIES = 4  # measurements in a row, if a process ends during each


class Task(NamedTuple):
    """A process of the sandbox, alive or a zombie of which only the figures remain."""

    pid: str
    threads: int
    memory: int
    cpu_s: float


class Sandbox:
    """A sandbox seen from outside. Its /proc is held open until `close`, so no later process is mistaken for it."""

    seen: frozenset[psutil.Process] = frozenset()  # all others die with its init, so none needs to be remembered

    def __init__(self, root: psutil.Process, ours: int = 2) -> None:
        """`root` is bubblewrap's process, and `ours` the number of processes that are inside from the start."""
        self._root, self._ours = root, ours
        self._proc: int | None = None
        self._scratch: list[int] = []

    @property
    def ready(self) -> bool:
        """Whether its /proc is open or can be opened now."""
        return self._proc is not None or self._open()

    def use(self, enough: int) -> Use:
        """Measure it. Above `enough` bytes, memory is measured exactly, with shared pages counted once."""
        looks = [Use(0, 0, 0.0)]
        for _ in range(TRIES if self.ready else 0):
            pids, tasks = self._tasks()
            looks.append(Use(sum(t.threads for t in tasks), self._memory(tasks, enough), sum(t.cpu_s for t in tasks)))
            if len(pids) == len(tasks):  # else one ended, and may have passed its memory to one we do not know yet
                break
        return Use(*map(max, zip(*looks)))

    def busy(self) -> bool:
        """Whether any thread is computing or waiting for a processor."""
        for pid in self._names("."):
            for thread in self._names(f"{pid}/task"):
                with suppress(OSError, IndexError):
                    if _fields(self._read(f"{pid}/task/{thread}/stat"))[0] == b"R":
                        return True
        return False

    def open(self, path: str) -> int:
        """Return a descriptor of a file inside. A link is opened itself, not its target. OSError if it is missing."""
        if not self.ready:
            raise FileNotFoundError(path)
        return os.open(f"1/root{path}", os.O_PATH | os.O_NOFOLLOW, dir_fd=self._proc)

    def close(self) -> None:
        for fd in (self._proc, *self._scratch):
            if fd is not None:
                os.close(fd)
        self._proc, self._scratch = None, []

    def _open(self) -> bool:
        """Open the sandbox's /proc and tmpfs mounts; False if it is not ready. For one thread at a time.

        Bubblewrap's child becomes the init once it has laid out the files. Until then it sees those of the machine.
        """
        with suppress(psutil.Error, OSError):
            for child in below(self._root)[:1]:
                inner = f"/proc/{child.pid}/root"
                if os.stat(f"{inner}/proc").st_dev != os.stat("/proc").st_dev:
                    self._proc = os.open(f"{inner}/proc", os.O_RDONLY | os.O_DIRECTORY)
                    mounts = [line.split() for line in self._read("1/mounts").decode().splitlines()]
                    places = [m[1] for m in mounts if m[2] == "tmpfs" and "rw" in m[3].split(",")]
                    for place in places:  # one by one: `close` finds those that were opened before one fails
                        self._scratch.append(os.open(inner + place, os.O_PATH))
                    return True
        return False

    def _tasks(self) -> tuple[list[str], list[Task]]:
        """Read the processes in order of pid, oldest first: one reaped after we read its parent is not counted twice.

        Returns all pids found, and the processes that could still be read.
        """
        pids, found = sorted(self._names("."), key=int), []
        for pid in pids:
            with suppress(OSError, ValueError, IndexError):
                found.append(self._task(pid))
        return pids, found

    def _task(self, pid: str) -> Task:
        fields, status = _fields(self._read(f"{pid}/stat")), self._read(f"{pid}/status")
        threads, cpu_s = int(fields[17]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        if fields[0] in (b"Z", b"X"):
            threads -= 1
            for thread in self._names(f"{pid}/task") if threads else ():  # only its first thread has ended
                status = max(status, self._read(f"{pid}/task/{thread}/status"), key=_memory)
        return Task(pid, threads, _memory(status), cpu_s)

    def _memory(self, tasks: list[Task], enough: int) -> int:
        held = sum(map(_held, self._scratch)) + self._sockets() * SOCKET_BYTES
        living = [task for task in tasks if task.threads]
        held += PROCESS_BYTES * max(0, len(living) - self._ours)  # not for the init and the runner
        used = held + sum(task.memory for task in living)
        if used > enough >= held and len(living) > self._ours:  # slower
            used = held + sum(map(self._share, living))
        return used

    def _share(self, task: Task) -> int:
        with suppress(OSError, ValueError, IndexError):
            text = self._read(f"{task.pid}/smaps_rollup")
            return _kib(text, b"Pss") + _kib(text, b"SwapPss") + _kib(self._read(f"{task.pid}/status"), b"VmPTE")
        return task.memory

    def _sockets(self) -> int:
        with suppress(OSError, ValueError, IndexError):
            return int(self._read("1/net/sockstat").split()[2])  # "sockets: used 5"
        return 0

    def _names(self, folder: str) -> list[str]:
        """Return the numeric names in a folder of /proc; an empty list if it is gone."""
        with suppress(OSError):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
            try:
                return [name for name in os.listdir(fd) if name.isdigit()]
            finally:
                os.close(fd)
        return []

    def _read(self, name: str) -> bytes:
        with open(os.open(name, os.O_RDONLY, dir_fd=self._proc), "rb", buffering=0) as file:
            return file.read()


def _fields(stat: bytes) -> list[bytes]:
    """Return the fields from the third on. The second is the process's name, which can contain anything."""
    return stat.rpartition(b") ")[2].split()


def _kib(status: bytes, name: bytes) -> int:
    """Return one memory figure in bytes; 0 if it is missing."""
    line = status.partition(b"\n" + name + b":")[2]
    return int(line.split(None, 1)[0]) * KIB if line else 0


def _memory(status: bytes) -> int:
    return sum(_kib(status, name) for name in (b"VmRSS", b"VmSwap", b"VmPTE"))


def _held(scratch: int) -> int:
    """Return the memory that a tmpfs takes: the contents of its files, and the files themselves."""
    there = os.fstatvfs(scratch)
    return (there.f_blocks - there.f_bfree) * there.f_frsize + (there.f_files - there.f_ffree) * INODE_BYTES
