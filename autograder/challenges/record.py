"""The log of a challenge. Lines are added, never changed, and a changed, cut or deleted log is noticed.

Each line of log.jsonl holds the hash of the line before. head.json beside it holds the number of lines, the hash of the
last one and, while a line is being added, the hash that it will have. So a crash at any moment can be told from a line
that was cut off or added by hand. Anyone who can write both files can forge both. Therefore every test prints the
head's hash, and anyone who keeps it can check later that the log still leads to it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ddpm_core.files import write_text

LOG, HEAD, LOCK = "log.jsonl", "head.json", ".lock"
TESTS = "tests"  # the folder for the tests' files
SAMPLES = "*-????????????-*.png"  # in it: the track, the challenger's hash, the test's number
FIRST = "0" * 64


class Damaged(ValueError):
    """The log is not what was written. The message says what is wrong with it."""


def hash_of(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def entries(folder: Path) -> list[dict[str, Any]]:
    """Return all entries, oldest first; Damaged if something was changed, cut off, added or deleted."""
    return _read(folder)[0]


def head(folder: Path) -> str:
    """Return the hash to which the log leads, which anyone may keep."""
    return _read(folder)[1]


def check_head(folder: Path, kept: str) -> None:
    """Raise Damaged if the log never led to this hash, or no longer holds the entries that led to it."""
    if kept not in {head(folder), *(e["prev"] for e in entries(folder))}:
        length = f"a head has {len(FIRST)} characters, this one {len(kept)}"
        why = "it is another log, or it was rewritten"
        raise Damaged(f"the log in {folder} does not lead to the head {kept[:12]}… ({length}): {why}")


def append(folder: Path, kind: str, **content: Any) -> dict[str, Any]:
    """Add one entry and return it. It is on disk when this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, wait=True):
        done, last, length = _read(folder)
        entry = {"n": len(done), "prev": last, "time": datetime.now(UTC).isoformat(timespec="seconds"), "kind": kind}
        line = json.dumps({**entry, **content}, sort_keys=True, allow_nan=False).encode()
        new = hash_of(line)
        _write_head(folder, len(done), last, coming=new)
        with (folder / LOG).open("ab") as f:
            f.truncate(length)  # removes an incomplete line left by a crash, which nobody was shown
            f.write(line + b"\n")
            f.flush()
            os.fsync(f.fileno())
        _write_head(folder, len(done) + 1, new)
        return json.loads(line)


@contextlib.contextmanager
def locked(file: Path, wait: bool = False, busy: str = "another process is using it") -> Iterator[None]:
    """Hold a lock, which the kernel releases however its holder ends; ValueError(busy) if another process has it.

    With `wait`, wait for it instead.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            raise ValueError(busy) from None
        yield


def _write_head(folder: Path, count: int, last: str, coming: str | None = None) -> None:
    write_text(folder / HEAD, json.dumps({"count": count, "hash": last, "coming": coming}) + "\n")
    there = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(there)  # the folder's entry for the file
    finally:
        os.close(there)


def _read(folder: Path) -> tuple[list[dict[str, Any]], str, int]:
    """Return the entries, the hash of the last one, and the offset in bytes at which its line ends."""
    log, top = folder / LOG, folder / HEAD
    if not top.is_file() and not log.is_file():
        if any((folder / TESTS).glob(SAMPLES)):
            raise Damaged(f"{folder} holds tests but no log: {LOG} and {HEAD} were deleted; restore them from a backup")
        return [], FIRST, 0
    if not top.is_file():
        raise Damaged(f"{top} was deleted: without it, the length of {LOG} is unknown; restore it from a backup")
    try:
        known = json.loads(top.read_text(encoding="utf-8"))
        count, last, coming = int(known["count"]), str(known["hash"]), known["coming"]
    except (ValueError, KeyError, TypeError) as e:
        raise Damaged(f"{top} was changed: it cannot be read; restore it from a backup") from e
    if not log.is_file() and count:
        raise Damaged(f"{log} was deleted: {HEAD} lists {count} entries; restore it from a backup")
    content = log.read_bytes() if log.is_file() else b""
    lines = content.split(b"\n")[:-1]  # after the last newline there is nothing, or an incomplete line
    found, hashes = _chain(lines, log)
    if len(lines) < count:
        raise Damaged(f"{log} was cut: it holds {len(lines)} of {count} entries; restore it from a backup")
    if hashes[count] != last:
        raise Damaged(f"{log} was changed: entry {count} is not the one that was written; restore it from a backup")
    if len(lines) > count + 1 or (len(lines) == count + 1 and hashes[-1] != coming):
        raise Damaged(f"{log} holds {len(lines)} entries although {count} were written: some were added by hand")
    return found, hashes[-1], sum(len(line) + 1 for line in lines)


def _chain(lines: list[bytes], log: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the entries, and the hashes before the first and after each; Damaged at the first wrong line."""
    found, hashes = [], [FIRST]
    for i, line in enumerate(lines):
        try:
            entry = json.loads(line)
            right = entry["n"] == i and entry["prev"] == hashes[-1]
        except (ValueError, KeyError, TypeError):
            right = False
        if not right:
            raise Damaged(f"{log} was changed at line {i + 1}, or just before it; restore it from a backup")
        found.append(entry)
        hashes.append(hash_of(line))
    return found, hashes
