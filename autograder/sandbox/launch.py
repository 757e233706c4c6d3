"""Starts `runner.py` in a process of its own: in the sandbox, or outside it with the limits only."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from autograder.sandbox import bubblewrap, seccomp
from autograder.sandbox.limits import Limits

# -I: neither environment variables nor a user's own packages change what is imported. -u: what was printed before a
# signal ends the process is not lost.
PYTHON = (sys.executable, "-I", "-B", "-u")
PIPE_BYTES = 1 << 20  # the most that an ordinary user can have, see pipe(7)
PIPES = {
    **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0},
    "start_new_session": True,  # Ctrl-C reaches only the grader, which then closes its children
}


def readable_copy(code_dir: Path, folder: Path) -> Path:
    """Make a copy that another uid can read. `folder` is one that other users of this machine cannot enter."""
    code = folder / "code"
    shutil.copytree(code_dir, code, symlinks=True)  # a link stays a link, which leads nowhere inside the sandbox
    for path in [code, *code.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return code


def inside(code: Path, limits: Limits, *, uid: int, threads: int, hide: Sequence[str]) -> subprocess.Popen:
    """Start the runner in the sandbox. It uses no preexec_fn, which is unsafe in a program with threads."""
    argv = [*PYTHON, f"{bubblewrap.CODE}/runner.py"]
    # The environment is set here and not by bubblewrap, whose own first process would keep the grader's, readable for
    # the child at /proc/1/environ.
    env = bubblewrap.environment(threads)
    with seccomp.opened() as fds:
        words = bubblewrap.command(argv, code, limits, uid=uid, hide=hide, filter_fds=fds)
        return subprocess.Popen(words, env=env, cwd="/", pass_fds=fds, **PIPES)


def outside(code: Path, limits: Limits, *, threads: int) -> subprocess.Popen:
    """Start the runner without the sandbox, where it sees everything its user sees."""
    scratch = home(code)
    scratch.mkdir()
    words = bubblewrap.capped(limits, shared_uid=True) if shutil.which("prlimit") and shutil.which("choom") else []
    env = bubblewrap.environment(threads, home=str(scratch))
    return subprocess.Popen([*words, *PYTHON, str(code / "runner.py")], env=env, cwd=scratch, **PIPES)


def widen(pipe: int) -> None:
    """Enlarge a pipe if the system allows it. Otherwise both sides take turns every 64 KiB."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def home(code: Path) -> Path:
    """Return the HOME of a runner outside the sandbox, which no other process shares."""
    return code.with_name("scratch")
