"""What a zip holds, which is hostile input: names that lead elsewhere, links, bombs. Nothing is unpacked by its name.

What is not taken is named in a sentence, and stays in the zip; everything else goes on.
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

MAX_FILES = 20_000  # of one archive: a class of 1,000 with a dozen notebooks each
MAX_BYTES = 64 << 20  # of one file, as much as the grader reads of a notebook
MAX_TOTAL = 4 << 30  # of all files
LONGEST = 200  # bytes of a name; a disk takes 255
JUNK = {".ds_store", "thumbs.db", "desktop.ini", "__macosx", ".ipynb_checkpoints"}  # what systems leave in a zip
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UTF8, ENCRYPTED, UNIX = 0x800, 0x1, 3  # flags of an entry, and the system that made it


@dataclass(frozen=True)
class Entry:
    """One file of the archive."""

    name: str  # its whole name there
    parts: tuple[str, ...]  # of the name, none of which leads elsewhere
    info: zipfile.ZipInfo

    @property
    def modified(self) -> datetime | None:
        """As whoever made the archive has it, in their own time zone."""
        with contextlib.suppress(ValueError):
            return datetime(*self.info.date_time)
        return None


class Archive:
    """An open zip: its files, and the sentences on what it holds besides."""

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
            self.problems.append(f"there are {len(infos):,} files; {MAX_FILES:,} were read, none from {first} on")

    def read(self, entry: Entry, limit: int = MAX_BYTES) -> bytes | None:
        """The content; None, and a sentence, where it is too large or damaged."""
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
    """An archive, or a folder as if it were one: browsers unpack. ValueError with one sentence where it is neither."""
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(_zipped(path)) if isinstance(path, Path) and path.is_dir() else path
            file = stack.enter_context(zipfile.ZipFile(source))
        except FileNotFoundError:
            raise ValueError(f"there is no file {path}") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as e:
            raise ValueError(f"{path} is not a zip, or a damaged one ({e}); download it again") from None
        yield Archive(file)


@contextlib.contextmanager
def _zipped(folder: Path) -> Iterator[BinaryIO]:
    """A folder's plain files as a zip, for as long as it is read."""
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
    """A name for a message: on one line, and not endless."""
    text = "".join(c if c.isprintable() else "�" for c in name)
    return f"'{text}'" if len(text) <= 120 else f"'{text[:80]}…{text[-30:]}'"


def _decoded(info: zipfile.ZipInfo) -> str:
    """The name as it was meant: without the flag for it, UTF-8 was read as DOS letters; Windows' separators."""
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _refused(name: str, parts: tuple[str, ...], info: zipfile.ZipInfo) -> str | None:
    """Why an entry is not even looked at."""
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
