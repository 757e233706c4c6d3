"""A machine for a hub, made of this one by bubblewrap: accounts, folders in /srv and processes of its own.

Everything else of the disk is there to read. Its processes end with `close`, whatever they are; nothing on this machine
changes. Only root can do that: a process then takes another account's rights, as a hub's servers do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from website.npm import packages

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy/jupyterhub"
COURSE = (
    "autograder",
    "ddpm_core",
    "ddpm_tools",
    "data",
    "solutions",
    "exercises",
    "nbgrader_config.py",
    "pyproject.toml",
)
ACCOUNTS = {"grader": 4001, "grace": 4002, "ada": 4003, "ben": 4004}
EMPTY = ("/srv", "/home", "/run", "/usr/local/share", "/tmp")  # at the start
START_S = 400  # of a hub on a busy machine

START = """set -eu
mount -t proc proc /proc  # whole: the grader's own sandbox could not mount another over bubblewrap's
for who in {accounts}; do install -d -m 700 -o $who -g $who /home/$who; done
sh /srv/hub/folders.sh
cd /srv/hub/state
exec ../.venv/bin/python -m jupyterhub -f ../jupyterhub_config.py
"""


def missing() -> str | None:
    """Why there can be no such machine here."""
    if os.getuid() != 0:
        return "a hub's servers run under accounts of their own, which takes root"
    if lacking := [command for command in ("bwrap", "npm", "chromium", "git", "openssl") if not shutil.which(command)]:
        return f"needs {' and '.join(lacking)}: make tools"
    return None


def password(account: str) -> str:
    return f"{account}'s own"


def free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def readable(path: Path) -> list[str]:
    """Words for bubblewrap that let every account in the machine get at `path`, whatever is closed above it."""
    if closed := next((p for p in reversed(path.parents) if not p.stat().st_mode & 0o001), None):
        below = [p for p in reversed(path.parents) if p.is_relative_to(closed) and p != closed]
        made = [word for p in below for word in ("--perms", "0755", "--dir", str(p))]
        return ["--perms", "0755", "--tmpfs", str(closed), *made, "--ro-bind", str(path), str(path)]
    return []


class Machine:
    def __init__(self, folder: Path) -> None:
        """`folder` holds what the machine is made of, and the hub's log."""
        self.folder, self.log = folder, folder / "hub.log"
        port, hub_port, proxy_port, formgrader_port = free_ports(4)
        self.address = f"http://127.0.0.1:{port}"
        self._write_accounts()
        (folder / "department.toml").write_text(
            f'address = "{self.address}"\nhub_port = {hub_port}\nproxy_port = {proxy_port}\n'
            f"formgrader_port = {formgrader_port}\n"
            'instructors = ["grace"]\nstudents = ["ada", "ben"]\n'
        )
        start = START.format(accounts=" ".join(ACCOUNTS))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._walls(), "sh", "-c", start], env=self._environment(), stdout=log, stderr=log
            )

    def _write_accounts(self) -> None:
        words = ["openssl", "passwd", "-6", "-stdin"]
        typed = "".join(f"{password(who)}\n" for who in ACCOUNTS)
        hashed = subprocess.run(words, input=typed, capture_output=True, text=True, check=True).stdout.split()
        lines = {"passwd": ["root:x:0:0::/root:/bin/sh"], "group": ["root:x:0:"], "shadow": ["root:*:20000::::::"]}
        for (who, n), secret in zip(ACCOUNTS.items(), hashed):
            lines["passwd"].append(f"{who}:x:{n}:{n}::/home/{who}:/bin/bash")
            lines["group"].append(f"{who}:x:{n}:")
            lines["shadow"].append(f"{who}:{secret}:20000::::::")
        # A copy of all: where this machine replaces one of the files (a package does), a mount over it would be gone.
        shutil.copytree("/etc", self.folder / "etc", symlinks=True, ignore=shutil.ignore_patterns("*.lock", "*.swp"))
        for name, text in lines.items():
            (self.folder / "etc" / name).write_text("\n".join(text) + "\n")
        (self.folder / "etc/gitconfig").write_text("[safe]\n\tdirectory = *\n")  # lessons.git is root's

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}

    def _walls(self) -> list[str]:
        venv, hub = sys.prefix, "/srv/hub"
        words = ["timeout", "-k", "5", "1500"]  # whatever becomes of the tests, no hub outlives them by much
        words += ["bwrap", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--cap-add", "ALL"]
        words += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        for place in EMPTY:
            words += ["--perms", "1777" if place == "/tmp" else "0755", "--tmpfs", place]
        words += readable(Path(sys.base_prefix))
        # The environment finds the course in this clone, wherever that lies
        hidden = any(ROOT.is_relative_to(place) for place in EMPTY)
        words += ["--ro-bind", str(ROOT), str(ROOT)] if hidden else readable(ROOT)
        words += ["--ro-bind", str(self.folder / "etc"), "/etc"]
        for place in (hub, "/srv/students"):
            words += ["--perms", "0755", "--dir", place]
        for file in sorted(p for p in DEPLOY.iterdir() if p.name not in ("department.toml", "node_modules")):
            words += ["--ro-bind", str(file), f"{hub}/{file.name}"]
        words += ["--ro-bind", str(self.folder / "department.toml"), f"{hub}/department.toml"]
        words += ["--ro-bind", str(packages(ROOT / "build/npm-hub", DEPLOY)), f"{hub}/node_modules"]
        for name in COURSE:
            words += ["--ro-bind", str(ROOT / name), f"/srv/course/{name}"]
        for place in (hub, "/srv/course", "/srv/students"):
            words += ["--ro-bind", venv, f"{place}/.venv"]
        words += ["--ro-bind", str(ROOT / "lessons"), "/srv/students/lessons"]
        words += ["--ro-bind", str(self.folder / "lessons.git"), "/srv/lessons.git"]
        return words

    def wait(self) -> None:
        """Until the hub answers."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            assert self._process.poll() is None, self.log.read_text()
            if "JupyterHub is now running" in self.log.read_text():
                return
            time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)


@contextlib.contextmanager
def started() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="hub-"))
    try:
        git = ["git", "-c", "user.name=course", "-c", "user.email=course@example.org"]
        shutil.copytree(
            ROOT / "lessons", folder / "students/lessons", ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
        for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Lessons"]):
            subprocess.run([*git, *words], cwd=folder / "students", check=True)
        subprocess.run(["git", "clone", "-q", "--bare", folder / "students", folder / "lessons.git"], check=True)
        machine = Machine(folder)
        try:
            machine.wait()
            yield machine
        finally:
            machine.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
