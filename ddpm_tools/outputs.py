"""Where results go, looked at before the work: the end of an hour's training is a bad time to learn of a full disk.
Only `made` makes anything, so that a command refused for another reason leaves no empty folder. ValueError names the
path. And how figures are written, so that every program reads them: `json_text`."""

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any


def finite(value: Any) -> Any:
    """Plain values with None in place of numbers that are not finite, for which JSON has no word."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list | tuple) else value


def json_text(value: Any, **how: Any) -> str:
    """Strict JSON: json.dumps by itself writes NaN and Infinity, which most readers refuse."""
    return json.dumps(finite(value), allow_nan=False, **how)


def folder(path: Path, option: str = "--out") -> Path:
    """A folder that is there or can be made, and takes files."""
    _takes_files(path, f"{option} {path}")
    return path


def made(path: Path, option: str = "--out") -> Path:
    """The folder, made where it is missing."""
    folder(path, option).mkdir(parents=True, exist_ok=True)
    return path


def _takes_files(path: Path, what: str) -> None:
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    if not path.is_dir():
        raise ValueError(f"{what} cannot be written: {path} is no folder; choose another place")
    try:
        with tempfile.TemporaryFile(dir=path):  # permissions alone do not tell: a disk may be read-only, or full
            pass
    except OSError as e:
        raise ValueError(f"{what} cannot be written ({e.strerror}); choose another place") from e


def file(path: Path, option: str = "--out") -> Path:
    """A file, or the name that several files share, in a folder that takes it."""
    if path.name in ("", ".."):
        raise ValueError(f"{option} {path} names no file; add a name to it")
    _takes_files(path.parent, f"{option} {path}")
    return path


def checkpoint(path: Path, option: str = "--out") -> Path:
    """NAME.safetensors and NAME.json, either of which may stand for both."""
    file(path, option)
    name = path.stem if path.suffix in (".json", ".safetensors") else path.name
    for suffix in (".json", ".safetensors"):
        if (taken := path.with_name(name + suffix)).is_dir():
            raise ValueError(f"{option} {path} cannot be written: {taken} is a folder; choose another name")
    return path


def picture(path: Path, option: str = "--out") -> Path:
    """A file whose ending matplotlib knows."""
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder; name a picture in it, such as {path / 'samples.png'}")
    file(path, option)
    from matplotlib.figure import Figure  # half a second, which other commands need not wait

    if path.suffix.lower()[1:] not in Figure().canvas.get_supported_filetypes():
        raise ValueError(f"{option} {path} does not end as a picture does; end it in .png")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{option} {path} is there and may not be written; choose another name")
    return path
