"""The files of a folder or of a zip behind one interface. A zip is only read, never extracted."""

import os
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LARGEST = 512 * 2**20  # bytes of one file: no picture has more, and a zip bomb would


@dataclass(frozen=True)
class Files:
    """The visible files by name ('cat/1.png', whatever the system's separator), in order, and a way to read one."""

    path: Path
    stamps: dict[str, tuple[int, int]]  # name -> two numbers that change with the content
    read: Callable[[str], bytes]  # safe to call from several threads

    @property
    def name(self) -> str:
        return self.path.name


def visible(name: str) -> bool:
    """Not hidden, not a Mac's resource fork, and not a name that climbs out of its folder ('../x', '/x', 'C:/x')."""
    parts = name.split("/")
    return not any(p in ("", "__MACOSX") or p.startswith(".") or p.endswith(":") for p in parts)


def zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name in Unicode; some packers write UTF-8 without saying so, and Windows' write backslashes."""
    name = info.filename
    if not info.flag_bits & 0x800:  # not marked as UTF-8, so zipfile read it as code page 437
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def folder_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Every visible file below root, links to folders followed once."""
    seen = set()
    for folder, below, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            below.clear()  # a link back to where we have been
            continue
        seen.add(real)
        for name in names:
            path = Path(folder, name)
            key = unicodedata.normalize("NFC", path.relative_to(root).as_posix())
            if visible(key) and path.is_file():
                yield key, path


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """The files of a folder or of a zip; ValueError where `path` is neither."""
    if path.is_dir():
        found = dict(sorted(folder_files(path)))
        stats = {name: file.stat() for name, file in found.items()}
        yield Files(path, {k: (s.st_size, s.st_mtime_ns) for k, s in stats.items()}, lambda k: found[k].read_bytes())
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as e:
        raise ValueError(f"{path} is not a data set: it is neither a folder nor a readable zip") from e
    with archive:
        members = {zip_name(i): i for i in archive.infolist() if not i.is_dir()}
        members = dict(sorted((k, i) for k, i in members.items() if visible(k)))

        def read(name: str) -> bytes:
            if members[name].file_size > LARGEST:
                raise OSError(f"{name} is larger than {LARGEST} bytes")
            return archive.read(members[name])

        yield Files(path, {k: (i.file_size, i.CRC) for k, i in members.items()}, read)
