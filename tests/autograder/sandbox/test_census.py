"""What the watchdog reads of a sandbox, however its files change or vanish meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from autograder.sandbox import census
from autograder.sandbox.census import Sandbox
from autograder.sandbox.limits import Limits
from autograder.sandbox.processes import Tree, below
from tests.autograder.sandbox.children import raw

STAT = b"7 (a) R 1) R 1 7 7 0 -1 4194560 1 2 3 4 %d 50 25 25 20 0 %d 0 9 0 0 18446744073709551615 1\n"
STATUS = b"Name:\tx\nVmRSS:\t    1024 kB\nVmSwap:\t       0 kB\nVmPTE:\t       4 kB\n"
ERRORS = (FileNotFoundError, ProcessLookupError, PermissionError, InterruptedError, OSError)


def made(folder: Path) -> Sandbox:
    """A sandbox of three processes, in files."""
    for pid in ("1", "2", "30"):
        (folder / pid / "task" / pid).mkdir(parents=True)
        for place in (folder / pid, folder / pid / "task" / pid):
            (place / "stat").write_bytes(STAT % (100, 1))
            (place / "status").write_bytes(STATUS)
    (folder / "1/net").mkdir()
    (folder / "1/net/sockstat").write_text("sockets: used 3\nTCP: inuse 0\n")
    box = Sandbox(psutil.Process())
    box._proc = os.open(folder, os.O_RDONLY)
    return box


def test_the_figures_of_a_quiet_sandbox(tmp_path):
    tasks, memory, cpu_s = (box := made(tmp_path)).use(1 << 40)
    assert (tasks, cpu_s) == (3, 3 * 200 / os.sysconf("SC_CLK_TCK")) and box.busy()
    assert memory == 3 * 1028 * 1024 + census.PROCESS_BYTES + 3 * census.SOCKET_BYTES
    box.close()
    assert box.use(1) == (0, 0, 0.0) and not box.busy()


def test_two_looks_at_once_open_a_sandbox_once(tmp_path, monkeypatch):
    """The watchdog's first look takes so long that the child is ready meanwhile, and the grader looks too."""

    def slow(root: psutil.Process) -> list[psutil.Process]:
        found = below(root)
        time.sleep(2.0)
        return found

    monkeypatch.setattr(census, "below", slow)
    before = opened()
    with raw(tmp_path, "question(); send(frame({'n': 1}))") as child:
        assert child.ask({})[0] == {"n": 1}
    assert not opened() - before


def opened() -> set[tuple[str, str]]:
    """What this process has open, each with its number, but not what lists them."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.add((fd, os.readlink(f"/proc/self/fd/{fd}")))
    return found


def test_nothing_that_a_look_meets_raises(tmp_path, monkeypatch):
    """2,000 looks at which any file vanishes, is cut short or holds something else."""
    box, rng = made(tmp_path), random.Random(5)
    read, names = box._read, box._names

    def odd(name: str) -> bytes:
        if rng.random() < 0.2:
            raise rng.choice(ERRORS)(3, name)
        data = read(name)
        if rng.random() < 0.3:
            data = data[: rng.randrange(len(data) + 1)]
        if rng.random() < 0.2:
            at = rng.randrange(len(data) + 1)
            data = data[:at] + rng.randbytes(rng.randrange(9)) + data[at:]
        return data

    monkeypatch.setattr(box, "_read", odd)
    monkeypatch.setattr(box, "_names", lambda folder: [*names(folder), "4194304"][: rng.randrange(5)])
    seen = set()
    for _ in range(2000):
        seen.add(box.use(rng.choice((1, 1 << 40))).tasks)
        box.busy()
    assert len(seen) > 3  # so it was not always the same
    box.close()


def test_a_process_whose_first_thread_has_ended_is_there(tmp_path):
    box = made(tmp_path)
    (tmp_path / "30/stat").write_bytes(STAT.replace(b") R 1 ", b") Z 1 ") % (100, 3))
    (tmp_path / "30/status").write_bytes(b"Name:\tx\n")
    assert box.use(1 << 40).tasks == 4  # two of its threads
    assert box.use(1 << 40).memory == 3 * 1028 * 1024 + census.PROCESS_BYTES + 3 * census.SOCKET_BYTES
    (tmp_path / "30/stat").write_bytes(STAT.replace(b") R 1 ", b") Z 1 ") % (100, 1))
    assert box.use(1 << 40)[::2] == (2, 3 * 200 / os.sysconf("SC_CLK_TCK"))  # dead, but not yet reaped: its time counts
    box.close()


def test_a_look_from_outside_at_hundreds_that_come_and_go():
    """Without a pause between the looks: thousands of files vanish under them."""
    storm = "import os\nwhile True:\n    if not os.fork(): os._exit(0)\n    os.wait()"
    storm = f"import os\nfor _ in range(4): os.fork()\n{storm}"
    with subprocess.Popen([sys.executable, "-c", storm], start_new_session=True) as process:
        tree, end, most = Tree(psutil.Process(process.pid)), time.monotonic() + 4, 0
        while time.monotonic() < end:
            most = max(most, tree.use(1).tasks)
            tree.busy()
        os.killpg(process.pid, signal.SIGKILL)
    assert most > 10


def test_looks_without_a_pause_from_two_threads(tmp_path):
    body = "question()\nend = time.monotonic() + 3\nfor _ in range(3): os.fork()\n"
    body += (
        "while time.monotonic() < end:\n    if not os.fork(): os._exit(0)\n    os.wait()\nsend(frame({})); question()"
    )
    with raw(tmp_path, body, Limits()) as child:
        errors, over = [], threading.Event()

        def look():
            while not over.is_set():
                try:
                    child._watchdog._held.use(1)
                except Exception as error:
                    errors.append(error)

        looking = threading.Thread(target=look)
        looking.start()
        child.ask({})
        over.set()
        looking.join()
    assert not errors and child._watchdog.verdict is None


def test_a_sandbox_that_cannot_be_read_is_our_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(Sandbox, "_open", lambda self: False)
    with pytest.raises(Exception, match="infrastructure_error: The sandbox cannot be watched here") as caught:
        raw(tmp_path, "question()")
    assert caught.value.outcome == "infrastructure_error"
