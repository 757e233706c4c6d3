"""Reads zips as hostile input: names that lead elsewhere, links, bombs. Nothing is unpacked under its own name.

Whatever is not taken is named in a sentence and stays in the zip. Everything else is read as usual.
"""

import contextlib
import os
import re
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

MAX_FILES = 20_000  # per archive: a class of 1,000 with a dozen notebooks each
MAX_BYTES = 64 << 20  # per file, the most that the grader reads of a notebook
MAX_TOTAL = 4 << 30  # all files together
LONGEST = 200  # bytes in a name; file systems allow 255
JUNK = {".ds_store", "thumbs.db", "desktop.ini", "__macosx", ".ipynb_checkpoints"}  # what systems leave in a zip
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UTF8, ENCRYPTED, UNIX = 0x800, 0x1, 3  # flags of an entry, and the system that made it


@dataclass(frozen=True)
class Entry:
    """One file of the archive."""

    name: str  # its full name there
    parts: tuple[str, ...]  # of the name; none leads elsewhere
    info: zipfile.ZipInfo

    @property
    def modified(self) -> datetime | None:
        """The time in the archive, in the time zone of whoever made it; None if it is not a valid time."""
        with contextlib.suppress(ValueError):
            return datetime(*self.info.date_time)
        return None


class Archive:
    """An open zip: its files (`entries`), and sentences about whatever else it holds (`problems`)."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._left = MAX_TOTAL
        self.problems: list[str] = []
        self.entries: list[Entry] = []
        infos = file.infolist()
        for info in infos[:MAX_FILES]:
            name = _decoded(info)
            parts = tuple(p for p in name.split("/") if p not in ("", "."))
            if name.endswith("/") or not parts or parts[-1].startswith("._") or JUNK & {p.lower() for p in parts}:
                continue
            if why := _refused(name, parts, info):
                self.problems.append(f"{shown(name)} {why}; not taken")
            else:
                self.entries.append(Entry(name, parts, info))
        if len(infos) > MAX_FILES:
            first = shown(_decoded(infos[MAX_FILES]))
            self.problems.append(f"there are {len(infos):,} files; only {MAX_FILES:,} were read, none from {first} on")

    def read(self, entry: Entry, limit: int = MAX_BYTES) -> bytes | None:
        """Return the content; if it is too large or damaged, add a sentence to `problems` and return None."""
        most = min(limit, self._left)
        try:
            with self._file.open(entry.info) as file:
                content = file.read(most + 1)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error, EOFError, OSError, ValueError) as e:
            self.problems.append(f"{shown(entry.name)} is damaged ({e}); not taken")
            return None
        if len(content) > most:
            size = f"{most >> 20} MB" if most == limit else f"{MAX_TOTAL >> 30} GB with those before it"
            self.problems.append(f"{shown(entry.name)} is larger than {size}; not taken")
            return None
        self._left -= len(content)
        return content


@contextlib.contextmanager
def opened(path: Path | BinaryIO) -> Iterator[Archive]:
    """Open an archive, or a folder as if it were one, since browsers unpack; ValueError if it is neither."""
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(_zipped(path)) if isinstance(path, Path) and path.is_dir() else path
            file = stack.enter_context(zipfile.ZipFile(source))
        except FileNotFoundError:
            raise ValueError(f"there is no file {path}") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as e:
            raise ValueError(f"{path} is not a zip, or is damaged ({e}); download it again") from None
        yield Archive(file)


@contextlib.contextmanager
def _zipped(folder: Path) -> Iterator[BinaryIO]:
    """Yield a folder's plain files as a temporary zip."""
    with tempfile.TemporaryFile() as made:
        with zipfile.ZipFile(made, "w", strict_timestamps=False) as file:
            inside = (Path(place, name) for place, _, names in os.walk(folder) for name in sorted(names))
            plain = (
                p for p in inside if p.is_file() and not p.is_symlink() and not re.search("[\ud800-\udfff]", str(p))
            )
            for path in islice(plain, MAX_FILES):
                file.write(path, path.relative_to(folder).as_posix())
        yield made


def shown(name: str) -> str:
    """Return a name for a message, on one line and of limited length."""
    text = "".join(c if c.isprintable() else "�" for c in name)
    return f"'{text}'" if len(text) <= 120 else f"'{text[:80]}…{text[-30:]}'"


def _decoded(info: zipfile.ZipInfo) -> str:
    """Return the intended name: UTF-8 even if its flag is missing, with `/` for Windows' separators."""
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _refused(name: str, parts: tuple[str, ...], info: zipfile.ZipInfo) -> str | None:
    """Return the reason why an entry is not read at all; None if there is none."""
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == UNIX else 0
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        return "leads out of the archive"
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG):
        return "is a pipe or a device"
    if any(not c.isprintable() for c in name):
        return "has control characters in its name"
    if any(len(p.encode(errors="surrogatepass")) > LONGEST for p in parts):
        return f"has a name of more than {LONGEST} bytes"
    if info.flag_bits & ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in PACKED:
        return "is packed in an unusual way"
    return None
