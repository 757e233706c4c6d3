"""Output paths, checked before the work starts: the end of an hour's training is a bad time to find the disk full.
Only `made` creates anything, so a command that is refused for another reason leaves no empty folder. ValueError names
the path. `json_text` writes JSON that every program can read."""

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any


def finite(value: Any) -> Any:
    """Plain values with None instead of numbers that are not finite, which JSON cannot express."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list | tuple) else value


def json_text(value: Any, **how: Any) -> str:
    """Strict JSON: json.dumps by default writes NaN and Infinity, which most parsers reject."""
    return json.dumps(finite(value), allow_nan=False, **how)


def folder(path: Path, option: str = "--out") -> Path:
    """A writable folder that exists or can be created."""
    _takes_files(path, f"{option} {path}")
    return path


def made(path: Path, option: str = "--out") -> Path:
    """The folder, created if it is missing."""
    folder(path, option).mkdir(parents=True, exist_ok=True)
    return path


def _takes_files(path: Path, what: str) -> None:
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    if not path.is_dir():
        raise ValueError(f"{what} cannot be written: {path} is not a folder; choose another place")
    try:
        with tempfile.TemporaryFile(dir=path):  # permissions are not enough: a disk may be read-only, or full
            pass
    except OSError as e:
        raise ValueError(f"{what} cannot be written ({e.strerror}); choose another place") from e


def file(path: Path, option: str = "--out") -> Path:
    """A file, or the common stem of several files, in a writable folder."""
    if path.name in ("", ".."):
        raise ValueError(f"{option} {path} is not a file name; add one")
    _takes_files(path.parent, f"{option} {path}")
    return path


def checkpoint(path: Path, option: str = "--out") -> Path:
    """NAME.safetensors and NAME.json; either name stands for both."""
    file(path, option)
    name = path.stem if path.suffix in (".json", ".safetensors") else path.name
    for suffix in (".json", ".safetensors"):
        if (taken := path.with_name(name + suffix)).is_dir():
            raise ValueError(f"{option} {path} cannot be written: {taken} is a folder; choose another name")
    return path


def picture(path: Path, option: str = "--out") -> Path:
    """A file with an extension that matplotlib supports."""
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder; name a picture in it, such as {path / 'samples.png'}")
    file(path, option)
    from matplotlib.figure import Figure  # half a second to import, needed here only

    if path.suffix.lower()[1:] not in Figure().canvas.get_supported_filetypes():
        raise ValueError(f"{option} {path} has no picture extension; end it in .png")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{option} {path} exists and is not writable; choose another name")
    return path
