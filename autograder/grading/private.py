"""Files for their owner alone: seeds, grades, names, and what answers printed. Whatever the umask says.

Who shares the work says so once: `c.CourseDirectory.groupshared = True` in nbgrader_config.py, nbgrader's own setting,
opens what was written to the folder's group.
"""

import contextlib
import os
from pathlib import Path

from ddpm_core.files import with_suffix

FILE, FOLDER = 0o600, 0o700


def folder(path: Path) -> Path:
    """The folder, made for its owner alone where it is missing; one that is there stays as its owner made it."""
    if not path.is_dir():
        folder(path.parent)
        path.mkdir(FOLDER, exist_ok=True)
    return path


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: it holds either the old content or the new."""
    folder(path.parent)
    draft = with_suffix(path, f".{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)  # of a process of this number that was killed
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE), "wb") as f:
        f.write(content)
        f.flush()
        os.fsync(f.fileno())  # on the disk before the name points to it, for when the power fails
    os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def close(path: Path) -> None:
    """A file that another program will write to: made where it is missing, and closed where everybody may read it."""
    folder(path.parent)
    with contextlib.suppress(OSError):  # the program itself says better what is wrong with it
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, FILE))
        if path.stat().st_mode & 0o007:
            path.chmod(FILE)


def share(path: Path) -> None:
    """Open a folder and all in it to its group; what belongs to a colleague is left to them."""
    for entry in (path, *path.rglob("*")):
        if not entry.is_symlink():
            with contextlib.suppress(OSError):
                entry.chmod(0o2770 if entry.is_dir() else 0o660)
