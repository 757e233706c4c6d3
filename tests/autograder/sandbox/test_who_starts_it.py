"""Many children at once, several graders, and a grader who is not root."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch

from autograder.sandbox import bubblewrap
from autograder.sandbox.child_process import Limits
from autograder.sandbox.uids import Uid
from tests.autograder.sandbox.children import BOMB, RAW, REPO, SECRET, raw, runner


def test_children_of_several_threads_do_not_disturb_each_other(tmp_path):
    def grade(n: int) -> tuple[dict, str]:
        body = f"question(); print('child {n}'); time.sleep(0.2); send(frame({{'n': {n}, 'uid': os.getuid()}}))"
        with raw(tmp_path / str(n), body) as child:
            header, _ = child.ask({})
        return header, child.printed

    open_before, threads_before = psutil.Process().num_fds(), threading.active_count()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(grade, range(8)))
    assert [header["n"] for header, _ in results] == list(range(8))
    assert [printed for _, printed in results] == [f"child {n}\n" for n in range(8)]
    if not os.geteuid():
        assert len({header["uid"] for header, _ in results}) >= 4  # as many as at once
    until = time.monotonic() + 30  # another thread of this process may look at a file just now
    while psutil.Process().num_fds() > open_before and time.monotonic() < until:
        time.sleep(0.1)
    assert psutil.Process().num_fds() <= open_before, psutil.Process().open_files()
    assert threading.active_count() <= threads_before


def test_graders_side_by_side_use_different_user_ids(tmp_path):
    """Another grader is another process, which knows nothing of the children here."""
    if os.geteuid():
        pytest.skip("an ordinary user's children all have that user's id")
    other = "import sys; from autograder.sandbox.uids import Uid; uid = Uid(); "
    other += "print(uid.number, flush=True); sys.stdin.read()"
    with raw(tmp_path, "question(); send(frame({'uid': os.getuid()}))") as child:
        with subprocess.Popen([sys.executable, "-c", other], stdin=-1, stdout=-1, text=True) as beside:
            theirs, mine = int(beside.stdout.readline()), child.ask({})[0]["uid"]
            assert mine != theirs and Uid().number not in (mine, theirs)
            beside.kill()
            beside.wait()
            again = Uid()
            assert again.number <= theirs  # which a grader that was killed has let go
            again.close()


def test_what_an_ordinary_user_starts():
    words = bubblewrap.command(["python"], Path("code"), Limits(), euid=1000)
    assert "--unshare-user" in words and "setpriv" not in words
    words = bubblewrap.command(["python"], Path("code"), Limits(), euid=0, uid=61005)
    assert "--unshare-user" not in words and words[words.index("--reuid") + 1] == "61005"
    assert "--clear-groups" in words


ORDINARY = """
import os, sys, time
from pathlib import Path
import psutil
def alive(process):
    return process.is_running() and process.status() != "zombie"
sys.path.insert(0, sys.argv[1])
from autograder.sandbox.child_process import Child, Failure, Limits, available
assert os.geteuid() != 0
assert available() is None, available()
with Child(Path(sys.argv[2], "look"), Limits()) as child:
    header, _ = child.ask({})
    print(header)
    assert header["uid"] == os.geteuid()
    assert header["network"] == ["lo"]
    assert header["secret"] is False
    assert header["repo"] is False
    assert all(":[" in file for file in header["init's files"])  # pipes and an event, no folder to leave by
    assert header["init's filter"] == "2"
    assert all(Path("/tmp") in Path(folder).parents for folder in header["written"])  # the child's own scratch
    assert header["caps"] == "0" * 16
with Child(Path(sys.argv[2], "bomb"), Limits(processes=24)) as child:
    child._process.stdin.write(b"go")
    time.sleep(0.7)
    bombs = psutil.Process(child._process.pid).children(recursive=True)
    print(len(bombs), "processes")
    assert 10 < len(bombs) <= 24 + 2
assert not any(map(alive, bombs))
try:
    with Child(Path(sys.argv[2], "memory"), Limits(processes=24, memory_bytes=256 << 20)) as child:
        child.ask({})
except Failure as failure:
    assert "of memory" in failure.message
else:
    raise AssertionError("the memory bomb answered")
print("all is well")
"""


LOOK = """
import glob
question()
here = {"uid": os.getuid(), "network": [line.split(":")[0].strip() for line in open("/proc/net/dev")][2:]}
here["secret"] = any(%r in open(path).read() for path in glob.glob("/proc/[0-9]*/environ"))
here["repo"] = os.path.exists(%r)
here["caps"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0]
here["written"] = []
for folder in ("/", "/dev", "/code", "/usr/bin", "/usr", "/etc", %r, %r):
    try:
        open(folder + "/new", "w")
        here["written"].append(folder)
    except OSError:
        pass
here["init's files"] = [os.readlink("/proc/1/fd/" + n) for n in os.listdir("/proc/1/fd")]
here["init's filter"] = [line.split()[1] for line in open("/proc/1/status") if line.startswith("Seccomp:")][0]
send(frame(here))
question()
"""


@contextmanager
def ordinary_user():
    """The words before a command that run it as an ordinary user, and a folder for it."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid():
            yield [], Path(folder)
            return
        Path(folder).chmod(0o755)
        # The interpreter may lie below /root, which others cannot enter: show only that, in an otherwise empty home.
        words = ["bwrap", "--dev-bind", "/", "/", "--perms", "0755", "--tmpfs", str(Path.home())]
        for prefix in (sys.prefix, sys.base_prefix, str(REPO)):
            if Path.home() in Path(prefix).parents:
                for parent in [p for p in reversed(Path(prefix).parents) if Path.home() in p.parents]:
                    words += ["--perms", "0755", "--dir", str(parent)]
                words += ["--ro-bind", prefix, prefix]
        yield [*words, "--", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"], Path(folder)


def test_an_ordinary_user_gets_the_same_walls():
    with ordinary_user() as (words, folder):
        look = LOOK % (SECRET, str(REPO / "autograder"), str(Path(sys.prefix).parent), str(Path(torch.__file__).parent))
        for name, body in (("look", look), ("bomb", BOMB), ("memory", "question()\nx = bytearray(b'x') * (1 << 30)")):
            runner(folder / name, RAW + body)
        env = {**os.environ, "GRADEBOOK_PASSWORD": SECRET, "HOME": "/nonexistent"}
        argv = [*words, sys.executable, "-B", "-c", ORDINARY, str(REPO), str(folder)]
        ended = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
    assert "all is well" in ended.stdout, ended.stdout + ended.stderr
