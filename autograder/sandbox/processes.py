"""What the system says of processes, any of which may end between two lines."""

import os
from contextlib import suppress
from pathlib import Path

import psutil


def below(root: psutil.Process) -> list[psutil.Process]:
    """What descends from it. Linux keeps lists of children, which may lack one that is just being born, until the next
    look; elsewhere all processes of the machine are searched, and on a server these are many."""
    if not Path(f"/proc/{root.pid}/task/{root.pid}/children").is_file():
        return root.children(recursive=True)
    found = [root]
    for parent in found:  # which grows meanwhile
        for children in Path(f"/proc/{parent.pid}/task").glob("*/children"):
            with suppress(OSError):
                for pid in children.read_text().split():
                    with suppress(psutil.Error):
                        found.append(psutil.Process(int(pid)))
    return found[1:]


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def share(process: psutil.Process) -> int:
    """Resident memory with shared pages divided among their users, where the system tells."""
    with suppress(psutil.Error, AttributeError):
        return process.memory_full_info().pss
    return resident(process)


def cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return sum(process.cpu_times()[:4])  # user and system, and the same of children that have ended
    return 0.0


def wants_to_run(process: psutil.Process) -> bool:
    """Whether any of its threads computes or waits for a processor; without /proc, whether the process does."""
    for stat in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        with suppress(OSError):
            if stat.read_bytes().rpartition(b") ")[2].startswith(b"R"):
                return True
    with suppress(psutil.Error):
        return process.status() == psutil.STATUS_RUNNING
    return False


def own_threads() -> int:
    """All threads of this user on this machine."""
    total = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # gone, or none of ours
            total += process.num_threads() if process.uids().real == os.getuid() else 0
    return total
