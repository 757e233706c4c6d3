"""The files of a folder or a zip behind one interface. A zip is only read, never extracted."""

import errno
import lzma
import os
import posixpath
import re
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LARGEST = 512 * 2**20  # bytes per file: no picture is larger, but a zip bomb is
PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
}
LASTING = (None, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP)  # errors that will recur


Reader = Callable[[str], bytes]


@dataclass(frozen=True)
class Files:
    """The visible files by name ('cat/1.png' on every system), in order, and a way to read one."""

    path: Path
    stamps: dict[str, tuple[int, int]]  # name -> two numbers that change when the content does
    read: Reader  # thread-safe; OSError says in a few words what is wrong
    notes: tuple[str, ...] = ()  # on other things in an archive, which must not be read

    @property
    def name(self) -> str:
        return self.path.name


class Trouble(ValueError):
    """A disk error that may be temporary: no reason to leave out a picture."""


def leads_out(name: str) -> bool:
    """Whether a name points outside its folder ('../x', '/x', 'C:/x')."""
    parts = name.split("/")
    return name.startswith("/") or ".." in parts or any(p.endswith(":") for p in parts)


def visible(name: str) -> bool:
    """Whether a name is not hidden, not a Mac's resource fork, and does not point outside its folder."""
    parts = name.split("/")
    return not leads_out(name) and not any(p in ("", "__MACOSX") or p.startswith(".") for p in parts)


def zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name in Unicode. Some packers write UTF-8 without flagging it; some on Windows write backslashes."""
    name = info.filename
    if not info.flag_bits & 0x800:  # not marked as UTF-8, so zipfile read it as code page 437
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    name = unicodedata.normalize("NFC", name.replace("\\", "/"))
    return name if leads_out(name) else posixpath.normpath(name)  # './cat//a.png' -> 'cat/a.png'


def stop(e: OSError) -> None:
    raise e


def folder_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Every visible file below root. Links to folders are followed once; broken links are listed and fail when read."""
    seen = set()
    for folder, below, names in os.walk(root, onerror=stop, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            below.clear()  # a link back to a folder already visited
            continue
        seen.add(real)
        for name in names:
            path = Path(folder, name)
            key = unicodedata.normalize("NFC", path.relative_to(root).as_posix())
            if visible(key) and (path.is_file() or (path.is_symlink() and not path.exists())):
                yield key, path


def stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        return (path.stat().st_size, path.stat().st_mtime_ns)
    return (0, 0)


def unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes; OSError says in a few words why it cannot be read."""
    try:
        return archive.read(member)
    except NotImplementedError as e:
        raise OSError("compressed by an unsupported method") from e
    except RuntimeError as e:
        raise OSError("it is password-protected") from e
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, ValueError) as e:
        raise OSError("damaged: its checksum or its compression is wrong") from e


def opened(path: Path) -> zipfile.ZipFile:
    """The zip at `path`; ValueError says what the file is instead."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, EOFError, struct.error) as e:
        if isinstance(e, OSError) and e.errno not in LASTING:
            raise Trouble(f"{path} could not be read ({e.strerror}); try again when the disk answers") from e
        head = b""
        with suppress(OSError), path.open("rb") as f:
            head = f.read(8)
        kind = next((kind for magic, kind in PACKED.items() if head.startswith(magic)), "")
        with suppress(OSError, EOFError, zlib.error, lzma.LZMAError):
            kind = f"tar ({kind})" if kind and tarfile.is_tarfile(path) else kind or "tar" * tarfile.is_tarfile(path)
        if kind:
            raise ValueError(f"{path} is a {kind} archive, which is not read; unpack it and give the folder") from e
        what = "damaged or truncated" if head.startswith(b"PK") else "neither a folder nor a readable zip"
        raise ValueError(f"{path} is not a data set: it is {what}") from e


def counted(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def zip_members(archive: zipfile.ZipFile, path: Path) -> tuple[dict[str, zipfile.ZipInfo], tuple[str, ...]]:
    """Visible members by name, and notes on the rest. Of several with one name the last counts, as on unpacking."""
    infos = [(zip_name(i), i) for i in archive.infolist() if not i.is_dir()]
    members = {k: i for k, i in infos if visible(k)}
    out = [k for k, _ in infos if leads_out(k)]
    twice = [k for k, i in infos if k in members and i.CRC != members[k].CRC]
    notes = []
    if out:
        names = f"{counted(len(out), 'name')} in {path.name} {'points' if len(out) == 1 else 'point'} outside it"
        notes.append(f"{names}, such as {out[0]}, and {'is' if len(out) == 1 else 'are'} not read")
    if twice:
        notes.append(f"{path.name} holds {twice[0]} more than once; the last one is read ({len(twice)} left out)")
    return dict(sorted(members.items())), tuple(notes)


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """The files of a folder or a zip; ValueError if `path` is neither."""
    if path.is_dir():
        found = dict(sorted(folder_files(path)))
        yield Files(
            path, {k: stamp(file) for k, file in found.items()}, checked(found, lambda k: found[k].read_bytes())
        )
        return
    with opened(path) as archive:
        members, notes = zip_members(archive, path)
        read = checked(members, lambda k: unpacked(archive, members[k]))
        yield Files(path, {k: (i.file_size, i.CRC) for k, i in members.items()}, read, notes)


def checked(
    found: dict[str, Path] | dict[str, zipfile.ZipInfo], read: Callable[[str], bytes]
) -> Callable[[str], bytes]:
    """`read`, but with clear errors for missing files, enormous files and failing disks."""

    def look_first(name: str) -> bytes:
        if name not in found:
            raise OSError("the file does not exist")
        file = found[name]
        if (stamp(file)[0] if isinstance(file, Path) else file.file_size) > LARGEST:
            raise OSError(f"larger than {LARGEST} bytes")
        try:
            return read(name)
        except OSError as e:
            if e.errno not in LASTING:
                raise Trouble(f"{name} could not be read ({e.strerror}); try again when the disk answers") from e
            raise OSError(re.sub(r"^\w", lambda m: m[0].lower(), e.strerror or str(e))) from e

    return look_first
