"""Files only their owner can read: seeds, grades, names, and what answers printed. Independent of the umask.

To share the work, set nbgrader's own option `c.CourseDirectory.groupshared = True` in nbgrader_config.py. It opens what
was written to the folder's group.
"""

import contextlib
import os
from pathlib import Path

from ddpm_core.files import with_suffix

FILE, FOLDER = 0o600, 0o700


def folder(path: Path) -> Path:
    """The folder, created for its owner only; an existing one keeps its permissions."""
    if not path.is_dir():
        folder(path.parent)
        path.mkdir(FOLDER, exist_ok=True)
    return path


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: it always has either the old content or the new."""
    folder(path.parent)
    draft = with_suffix(path, f".{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)  # left by a killed process with the same number
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE), "wb") as f:
        f.write(content)
        f.flush()
        os.fsync(f.fileno())  # on disk before the name points to it, in case of a power failure
    os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def close(path: Path) -> None:
    """A file that another program will write to: created if missing, and closed to others if anybody could read it."""
    folder(path.parent)
    with contextlib.suppress(OSError):  # the program itself reports better what is wrong
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, FILE))
        if path.stat().st_mode & 0o007:
            path.chmod(FILE)


def share(path: Path) -> None:
    """Open a folder and everything in it to its group; a colleague's files are left to them."""
    for entry in (path, *path.rglob("*")):
        if not entry.is_symlink():
            with contextlib.suppress(OSError):
                entry.chmod(0o2770 if entry.is_dir() else 0o660)
