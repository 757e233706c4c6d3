"""Runs a student's notebook for nbgrader in a sandboxed Jupyter kernel.

Jupyter's kernel provisioners decide where a kernel runs. This one starts ipykernel inside the walls of `bubblewrap.py`:
no network, no other process, another user, an empty environment, limits. Messages go through sockets in the kernel's
own /tmp, which we open before any student code runs, so nothing that the kernel can write to lies on our disk. The
kernel also sees the library and data of the students' bundle, and the notebook's folder. The files there can be read
but not changed, and whatever is written beside them disappears with the kernel.

Its output is what student code printed and drew, never a score.
"""

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.client import KernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from autograder import travel
from autograder.imports import ROOT
from autograder.sandbox import bubblewrap, seccomp
from autograder.sandbox.limits import GIB, Limits
from autograder.sandbox.uids import Uid
from autograder.sandbox.watchdog import Watchdog

PROVISIONER = "autograder-sandbox"  # its name among the entry points of pyproject.toml
DESK = "/notebook"  # the kernel's working folder
MAX_FILES = 200  # from the notebook's folder; each is mounted separately
MAX_SOCKET = 90  # characters; the kernel's own limit for a socket's path is 107
INNER = "/tmp/.jupyter"  # the kernel's own path to its sockets; "-" and a number follow
START_S = 120.0  # importing from a cold disk takes a while
MAX_MESSAGE, MAX_WAITING = 16 << 20, 20  # bytes per message, and messages queued here; the rest wait in the sandbox
NO_HISTORY = ("--HistoryManager.enabled=False",)  # the history is a database, which needs file locks
# For a whole notebook with a short training run. nbgrader also limits each cell.
LIMITS = Limits(cpu_s=1800, wall_s=3600.0, memory_bytes=3 * GIB)


class SandboxProvisioner(LocalProvisioner):
    """Starts and ends one kernel at a time. Without a sandbox it raises RuntimeError with one sentence."""

    limits = LIMITS
    _room: Path | None = None  # this kernel's folder on our disk, which only its owner can enter
    _uid: Uid | None = None
    _watchdog: Watchdog | None = None
    _held: tuple[int, ...] = ()  # the kernel's sockets

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose where the sockets go. The command itself comes from the kernel spec."""
        if why := bubblewrap.available():
            raise RuntimeError(why)
        if self._room is None:
            self._room = Path(tempfile.mkdtemp(prefix="kernel-"))
            if len(str(self._room)) > MAX_SOCKET:
                raise RuntimeError(f"the path of {self._room} is too long for a socket; set TMPDIR to a shorter one")
            _show_course(self._room / "code")
        manager = self.parent
        manager.transport, manager.ip = "ipc", str(self._sockets / "s")  # the kernel has no network to listen on
        manager.connection_file = str(self._room / "connection.json")
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """Start the kernel in the sandbox. None of the environment that Jupyter sets up for it is passed on."""
        self._uid = Uid()
        connection, inner = Path(self.parent.connection_file), self._room / "inner.json"
        inner.write_text(json.dumps(json.loads(connection.read_text()) | {"ip": INNER}))
        inner.chmod(0o644)  # still private: nobody else can enter its folder
        more = [*bubblewrap.folders(self._room), "--ro-bind", str(inner), str(connection)]
        more += ["--ro-bind-try", *["/etc/fonts"] * 2]  # otherwise plotting prints a warning
        more += _desk(Path(kwargs.get("cwd") or "."), self.limits)
        env = bubblewrap.environment(1) | {"PYTHONPATH": bubblewrap.CODE}
        with seccomp.opened(sockets=True) as fds:
            words = bubblewrap.command(
                cmd, self._room / "code", self.limits, uid=self._uid.number, filter_fds=fds, more=more, cwd=DESK
            )  # fmt: skip
            pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
            self.process = subprocess.Popen(words, env=env, cwd="/", pass_fds=fds, start_new_session=True, **pipes)
        self._watchdog = Watchdog(self.process, self.limits)
        self._watchdog.start()
        self.pid = self.pgid = self.process.pid
        self.cwd = kwargs.get("cwd")
        try:
            await self._take_sockets()
        except BaseException:
            await self.cleanup()
            raise
        return self.connection_info

    async def _take_sockets(self) -> None:
        """Make links for Jupyter that lead to these very sockets, whatever the kernel later does with their names."""
        shutil.rmtree(self._sockets, ignore_errors=True)  # left by the kernel before a restart
        self._sockets.mkdir(mode=0o700)
        ports = [value for name, value in self.connection_info.items() if name.endswith("_port")]
        until = time.monotonic() + START_S
        while len(self._held) < len(ports):
            if self.process.poll() is not None or time.monotonic() > until:
                said = self._watchdog.verdict[1] if self._watchdog.verdict else "type `nbgrader autograde` again"
                raise RuntimeError(f"The notebook's kernel did not start; {said}")
            try:
                self._held += (self._watchdog.open(f"{INNER}-{ports[len(self._held)]}"),)
            except OSError:
                await asyncio.sleep(0.05)
        for port, fd in zip(ports, self._held):
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                raise RuntimeError("The notebook's kernel put something else in place of its sockets.")
            (self._sockets / f"s-{port}").symlink_to(f"/proc/self/fd/{fd}")
        self._watchdog.begin()

    async def cleanup(self, restart: bool = False) -> None:
        """Leave no process behind and, unless the kernel is to restart, no file."""
        await super().cleanup(restart)
        for fd in self._held:
            os.close(fd)
        self._held = ()
        if self._watchdog:
            self._watchdog.close()
        if self._uid:
            self._uid.close()
        if self._room and not restart:
            shutil.rmtree(self._room, ignore_errors=True)
            self._room = None

    @property
    def _sockets(self) -> Path:
        return self._room / "io"


class SandboxedKernelManager(AsyncKernelManager):
    """Always starts our kernel, whatever kernel a notebook's metadata ask for."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """Replaces Jupyter's kernel spec file, so nothing needs to be installed and nothing can be tampered with."""
        return KernelSpec(
            argv=[sys.executable, "-s", "-B", "-m", "ipykernel_launcher", "-f", "{connection_file}", *NO_HISTORY],
            display_name="Python 3 in the sandbox",
            language="python",
            interrupt_mode="message",  # signals from outside do not reach it
            metadata={"kernel_provisioner": {"provisioner_name": PROVISIONER}},
        )

    def client(self, **kwargs: Any) -> KernelClient:
        """Return a client whose sockets limit the memory used here, whatever the kernel sends."""
        client = super().client(**kwargs)
        client.context.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        client.context.setsockopt(zmq.RCVHWM, MAX_WAITING)
        return client


def _show_course(folder: Path) -> None:
    """Copy what the notebooks import to `folder`, readable for another user."""
    travel.copy(travel.to_kernel(), ROOT, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _desk(folder: Path, limits: Limits) -> list[str]:
    """Return options that lay out the notebook's folder: one in memory, with its regular files mounted read-only."""
    words = ["--perms", "01777", "--size", str(limits.scratch_bytes), "--tmpfs", DESK]
    files = sorted(path for path in folder.resolve().iterdir() if path.is_file() and not path.is_symlink())
    for path in files[:MAX_FILES]:
        words += ["--ro-bind", str(path), f"{DESK}/{path.name}"]
    return words
