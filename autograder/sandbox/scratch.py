"""Folders that commands write to: usable from the start; and temporary ones, which even a run cut short removes."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def usable(folder: Path, option: str = "--out") -> Path:
    """The folder, made where it is missing; ValueError where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as e:
        raise ValueError(f"{folder} cannot be written to ({e.strerror}); choose another folder with {option}") from None


def temporary(**options: bool) -> tempfile.TemporaryDirectory:
    """A temporary folder whose name tells which process made it."""
    return tempfile.TemporaryDirectory(prefix=_prefix(), **options)


def clear() -> None:
    """Remove this process's temporary folders; for an end at which its threads do not come to it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix() -> str:
    return f"autograder-{os.getpid()}-"
