"""A small world around the grader with something to lose: secrets, other students' files, listeners on the network."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import threading
import time
from pathlib import Path

import psutil

REPO = Path(__file__).resolve().parents[3]
WATCHED = ("autograder", "solutions", "data/gates", "data/judges")  # of the repository
HALVES = "horse-", "battery-staple"
SECRET = "".join(HALVES)  # the attacks know one half, so that finding it is no accident


def alive(processes: set[psutil.Process]) -> list[str]:
    """Those that are neither gone nor dead; a dead one may still wait for its parent to ask."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # gone between the two questions
            if process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                found.append(str(process))
    return found


class World:
    """Files that hold the secret, an environment variable that is it, and servers that count who comes."""

    def __init__(self, folder: Path):
        self.folder, self.mark = folder, f"redteam{secrets.token_hex(6)}"  # never twice: a socket may outlive its world
        self.secrets = [folder / name for name in ("gradebook.db", "submitted/ada/hw/n.ipynb", "solutions/hw/n.ipynb")]
        self.secrets += [folder / "out/ada/hw/results.json", Path.home() / f".{self.mark}"]
        for path in self.secrets:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SECRET)
        os.environ["GRADEBOOK_PASSWORD"] = SECRET
        self.visits: list[str] = []
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(self.tcp.getsockname())
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(f"\0{self.mark}")
        self.unix.listen()
        for name, wait in (("tcp", self.tcp.accept), ("unix", self.unix.accept), ("udp", lambda: self.udp.recv(1))):
            threading.Thread(target=self._listen, args=(name, wait), daemon=True).start()
        self.before, self.others = self.state(), set(psutil.Process().children(recursive=True))

    def _listen(self, name: str, wait) -> None:
        while True:
            try:
                wait()
            except OSError:  # closed
                return
            self.visits.append(name)

    def close(self) -> None:
        for server in (self.tcp, self.udp, self.unix):
            server.close()
        (Path.home() / f".{self.mark}").unlink()
        del os.environ["GRADEBOOK_PASSWORD"]

    def fill(self, source: str, **more: str) -> str:
        """An attack with the places it aims at."""
        targets = [str(p) for p in self.secrets] + [str(REPO / "data/judges/digits.safetensors")]
        targets += [str(REPO / "solutions/5_1_unconditional/schedules.ipynb"), str(REPO / "autograder/gate/bands.py")]
        words = {"SECRET_FILES": repr(targets), "SECRET_HALF": HALVES[0], "REPO": str(REPO), "MARK": self.mark}
        words |= {"COURSE": str(self.folder), "PORT": str(self.tcp.getsockname()[1]), "PID": str(os.getpid())}
        for word, text in (words | {"ABSTRACT": self.mark} | more).items():
            source = source.replace(f"@{word}@", text)
        return source

    def state(self) -> dict[str, str]:
        files = (p for p in sorted(self.folder.rglob("*")) if p.is_file())
        return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    def unharmed(self) -> None:
        """AssertionError with what has changed, who is still running, or who came by."""
        assert self.state() == self.before
        for folder in WATCHED:
            for path in (REPO / folder).rglob("*"):
                assert self.mark not in path.name
                if path.suffix in (".py", ".json", ".ipynb") and path.is_file():
                    assert self.mark.encode() not in path.read_bytes(), path
        assert (Path.home() / f".{self.mark}").read_text() == SECRET
        assert not [p.name for root in ("/", "/tmp", "/dev/shm", "/root") for p in listing(root) if self.mark in p.name
                    and p.name != f".{self.mark}"]  # fmt: skip
        end = time.monotonic() + 5  # a killed process may take a moment to be gone
        while (left := alive(set(psutil.Process().children(recursive=True)) - self.others)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not left, left
        assert [p.info for p in psutil.process_iter(["cmdline"]) if self.mark in str(p.info["cmdline"])] == []
        assert self.visits == []


def listing(folder: str) -> list[Path]:
    try:
        return list(Path(folder).iterdir())
    except OSError:
        return []


def told(text: str) -> None:
    """AssertionError where a report holds what nobody should have found."""
    for word in (SECRET, HALVES[1], "LEAK:", "REACHED"):
        assert word not in text, text[:2000]
