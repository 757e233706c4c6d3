"""Temporary folders that are removed even if a run is cut short."""

import os
import shutil
import tempfile
from pathlib import Path


def temporary(**options: bool) -> tempfile.TemporaryDirectory:
    """Make a temporary folder whose name holds this process's id."""
    return tempfile.TemporaryDirectory(prefix=_prefix(), **options)


def clear() -> None:
    """Remove this process's temporary folders, for an exit in which its threads cannot do so themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix() -> str:
    return f"autograder-{os.getpid()}-"
