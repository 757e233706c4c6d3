"""What a sandbox holds, read in its own /proc: no process of it is missing there, however short its life.

Processor time. A parent that waits for a child is charged with the child's time, and the sandbox's init waits for
whoever has no parent any more; the system-call filter keeps SIGCHLD from being ignored, which would lose the time. So
the time of those that run, of those that wait to be reaped, and of the dead children of both is all there ever was.

Memory. To what is resident or swapped out comes what the kernel holds for a process and no process has: page tables,
mappings, files of the tmpfs, sockets.
"""

import os
from contextlib import suppress
from typing import NamedTuple

import psutil

from autograder.sandbox.limits import KIB, MIB
from autograder.sandbox.processes import Use, below

PROCESS_BYTES = 24 * MIB  # for 65,530 mappings, the most that a process may have
INODE_BYTES = 2 * KIB  # an empty file with a long name
SOCKET_BYTES = 512 * KIB  # what one may have in flight
TRIES = 4  # of a look at which somebody went meanwhile


class Task(NamedTuple):
    """A process of the sandbox: one that lives, or of which only the figures remain."""

    pid: str
    threads: int
    memory: int
    cpu_s: float


class Sandbox:
    """A sandbox from outside. Its files are held open until `close`, so that no later process is taken for it."""

    seen: frozenset[psutil.Process] = frozenset()  # with its init all others die: nobody need be known by name

    def __init__(self, root: psutil.Process, ours: int = 2) -> None:
        """`root` is bubblewrap; of the processes inside, so many are there from the start."""
        self._root, self._ours = root, ours
        self._proc: int | None = None
        self._scratch: list[int] = []

    @property
    def ready(self) -> bool:
        """Whether it can be looked into."""
        return self._proc is not None or self._open()

    def use(self, enough: int) -> Use:
        """`enough`: the memory from which on it is worth knowing exactly, with pages that processes share once."""
        looks = [Use(0, 0, 0.0)]
        for _ in range(TRIES if self.ready else 0):
            pids, tasks = self._tasks()
            looks.append(Use(sum(t.threads for t in tasks), self._memory(tasks, enough), sum(t.cpu_s for t in tasks)))
            if len(pids) == len(tasks):  # else: who went may have handed its memory to one whom we do not know yet
                break
        return Use(*map(max, zip(*looks)))

    def busy(self) -> bool:
        """Whether any thread computes or waits for a processor."""
        for pid in self._names("."):
            for thread in self._names(f"{pid}/task"):
                with suppress(OSError, IndexError):
                    if _fields(self._read(f"{pid}/task/{thread}/stat"))[0] == b"R":
                        return True
        return False

    def open(self, path: str) -> int:
        """A descriptor of a file in there, not of what it would lead to."""
        if not self.ready:
            raise FileNotFoundError(path)
        return os.open(f"1/root{path}", os.O_PATH | os.O_NOFOLLOW, dir_fd=self._proc)

    def close(self) -> None:
        for fd in (self._proc, *self._scratch):
            if fd is not None:
                os.close(fd)
        self._proc, self._scratch = None, []

    def _open(self) -> bool:
        """Bubblewrap's child becomes the init once it has laid out the files; before, it sees those of the machine."""
        with suppress(psutil.Error, OSError):
            for child in below(self._root)[:1]:
                inner = f"/proc/{child.pid}/root"
                if os.stat(f"{inner}/proc").st_dev != os.stat("/proc").st_dev:
                    self._proc = os.open(f"{inner}/proc", os.O_RDONLY | os.O_DIRECTORY)
                    mounts = [line.split() for line in self._read("1/mounts").decode().splitlines()]
                    places = [m[1] for m in mounts if m[2] == "tmpfs" and "rw" in m[3].split(",")]
                    self._scratch = [os.open(inner + place, os.O_PATH) for place in places]
                    return True
        return False

    def _tasks(self) -> tuple[list[str], list[Task]]:
        """The oldest first: whoever is reaped after we read its parent is not counted twice."""
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
        """The numbers in a folder of /proc; none where it has gone."""
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
    """From the third on; the second is a name, in which anything may stand."""
    return stat.rpartition(b") ")[2].split()


def _kib(status: bytes, name: bytes) -> int:
    """A figure of memory in bytes; 0 where it is not given."""
    line = status.partition(b"\n" + name + b":")[2]
    return int(line.split(None, 1)[0]) * KIB if line else 0


def _memory(status: bytes) -> int:
    return sum(_kib(status, name) for name in (b"VmRSS", b"VmSwap", b"VmPTE"))


def _held(scratch: int) -> int:
    """What a tmpfs takes: its files' contents, and the files."""
    there = os.fstatvfs(scratch)
    return (there.f_blocks - there.f_bfree) * there.f_frsize + (there.f_files - there.f_ffree) * INODE_BYTES
