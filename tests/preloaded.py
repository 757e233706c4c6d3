"""A Python that has torch and the other libraries loaded before it starts, for tests that run many short programs.

    with preloaded.programs() as folder: ...

The folder holds `python`, `python3` and `autograder`, to be called or put on PATH. Each hands its arguments,
environment, folder and streams to a server, and ends with the status that comes back. The server forks a process that
does what Python would do. None of this course is loaded in it, so a copy of the course elsewhere is what it runs.
The process is the server's user, whoever called.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = ("torch", "safetensors.torch", "numpy", "psutil", "tqdm.auto", "nbformat", "matplotlib.figure")
PROGRAMS = {"python": [], "python3": [], "autograder": ["-m", "autograder.cli"]}
MESSAGE = 1 << 20  # bytes of arguments and environment
CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, {size})
    s.connect({address!r})
    asked = json.dumps([{before!r} + sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(s, [asked], [0, 1, 2])
    status = s.recv(100)
sys.exit(int(status or 1))
"""


@contextmanager
def programs() -> Iterator[Path]:
    """Yield a folder of such programs. The server ends with the block."""
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        folder = Path(name)
        listening.bind(address := str(folder / "socket"))
        listening.listen()
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        argv = [sys.executable, "-P", __file__, str(listening.fileno())]
        with subprocess.Popen(argv, env=env, pass_fds=(listening.fileno(),), stdin=subprocess.DEVNULL) as server:
            for name, before in PROGRAMS.items():
                text = CLIENT.format(python=sys.executable, address=address, before=before, size=MESSAGE)
                (folder / name).write_text(text, encoding="utf-8")
                (folder / name).chmod(0o755)
            yield folder
            server.kill()


def serve(listening: socket.socket) -> list[str]:
    """Fork a process for each program. Returns only in such a process, with the words after `python`."""
    for name in LIBRARIES:
        importlib.import_module(name)
    keepers: set[int] = set()
    while True:
        connection, _ = listening.accept()
        keepers = {pid for pid in keepers if not os.waitpid(pid, os.WNOHANG)[0]}
        if keeper := os.fork():
            keepers.add(keeper)
            connection.close()
            continue
        listening.close()
        message, fds, *_ = socket.recv_fds(connection, MESSAGE, 3)
        if not (pid := os.fork()):
            connection.close()
            return begin(*json.loads(message), fds)
        report(connection, pid)


def report(connection: socket.socket, pid: int) -> None:
    """Wait for a program, tell its caller the status, and end. It is killed if its caller is."""
    ended = os.pidfd_open(pid)
    if ended not in select.select([ended, connection], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        connection.send(str(code if code >= 0 else 128 - code).encode())
    finally:
        os._exit(0)


def begin(words: list[str], env: dict[str, str], cwd: str, fds: list[int]) -> list[str]:
    """Take over the caller's streams, environment and folder."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    random.seed()
    sys.modules["numpy"].random.seed()
    sys.path[:0] = [p for p in env.get("PYTHONPATH", "").split(os.pathsep) if p]
    if words[0] == "-B":
        sys.dont_write_bytecode = True
        return words[1:]
    return words


def run(words: list[str]) -> None:
    """Do what Python does with `-m MODULE`, `-c CODE` or a file."""
    kind, rest = (words[0], words[1:]) if words[0] in ("-m", "-c") else ("file", words)
    sys.argv = [rest[0] if kind != "-c" else "-c", *rest[1:]]
    if kind == "-m":
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.path.insert(0, "")
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path.insert(0, str(Path(rest[0]).resolve().parent))
        runpy.run_path(rest[0], run_name="__main__")


if __name__ == "__main__":
    run(serve(socket.socket(fileno=int(sys.argv[1]))))
