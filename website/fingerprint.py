"""What a slow step was made from: as long as its fingerprint stays the same, its results are taken from build/."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def fingerprint(files: Iterable[Path], *more: str) -> str:
    """SHA-256 over names (below the repository) and contents of the files, in order of name, and over further texts."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    for text in more:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def library() -> list[Path]:
    """What lessons and pictures depend on: the sources of both packages, and what ships in data/."""
    sources = [f for package in ("ddpm_core", "ddpm_tools") for f in (ROOT / package).rglob("*.py")]
    return [*sources, *(f for f in (ROOT / "data").rglob("*") if f.is_file())]
