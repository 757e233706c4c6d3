"""Temporary folders, which even a run that is cut short removes."""

import os
import shutil
import tempfile
from pathlib import Path


def temporary(**options: bool) -> tempfile.TemporaryDirectory:
    """A temporary folder whose name tells which process made it."""
    return tempfile.TemporaryDirectory(prefix=_prefix(), **options)


def clear() -> None:
    """Remove this process's temporary folders; for an end at which its threads do not come to it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix() -> str:
    return f"autograder-{os.getpid()}-"
