"""Finds the required notebook in a student's folder, even under another name or in another place.

Browsers, Jupyter and operating systems rename, nest and zip what they save. If only one file can be meant, it is used
and the student is told so. Otherwise the message names the files that are there. Nothing is executed or unpacked to
disk, and no link is followed.
"""

import functools
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from autograder.exercises.base import Exercise
from autograder.intake.extract import Unreadable, extract, read_slim, zip_entries
from autograder.intake.student_ids import student_of

MOST, DEEP = 200, 4  # files considered, and levels of folders, counted from the student's
INTO = 10  # files that are read, if their names fit none or several
PACKED, EXPORT, LINK = "an archive that is not opened", "an export, not the notebook", "a link, not the notebook"
KINDS = {
    **dict.fromkeys((".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"), PACKED),
    **dict.fromkeys((".html", ".htm", ".pdf", ".py", ".md", ".tex", ".docx"), EXPORT),
    **dict.fromkeys((".url", ".webloc", ".lnk", ".gdoc", ".desktop"), LINK),
    ".zip": "a zip in which it is not",
}


@dataclass(frozen=True)
class Found:
    """Where the notebook is, or should be. A file in a zip is named as if the zip were a folder."""

    path: Path
    said: str = ""  # what to tell the student if it is not the required file
    why: str = ""  # the reason if there is none, with what is there instead


def look(folder: Path, exercise: Exercise, siblings: Iterable[str]) -> Found:
    """Find an exercise's notebook. `siblings` are the names of all notebooks in its assignment."""
    exact, others = folder / f"{exercise.name}.ipynb", {name.casefold() for name in siblings} - {exercise.name}
    there = [f for f in some_files(folder) if f != exact and _stem(f) not in others]
    inside = [p for file in there if file.suffix.lower() == ".zip" for p in islice(zip_entries(file), MOST)]
    every = [f for f in (*there, *inside) if _stem(f) not in others and f.suffix.lower() not in KINDS]
    notebooks = [f for f in every if "ipynb" in f.name.casefold()]
    word = re.compile(rf"(?<![^\W\d_]){re.escape(exercise.name)}(?![^\W\d_])")  # no letter before or after it
    meant = [f for f in notebooks if word.search(f.name.casefold())]
    found = os.path.lexists(exact)
    if not meant and not found:
        bare = [f for f in every if f.suffix.lower() in ("", ".json", ".txt")]  # how some browsers save it
        meant = [f for f in (*notebooks, *bare)[:INTO] if _holds_answers(f, exercise)]
    if not meant:
        return Found(exact) if found else Found(exact, why=_instead(exact, folder, [f for f in there if _counts(f)]))
    if found and _is_answered(exact, exercise):
        return Found(exact)
    alike = list({_content(f): f for f in reversed(meant[:INTO])}.values())[::-1]
    answered = [f for f in alike if _is_answered(f, exercise)]
    choice = answered or ([] if found else alike)
    named = [f for f in choice if f.name.casefold() == exact.name.casefold()]
    if len(choice) > 1 and len(named) != 1 and answered:
        both = ", ".join(_shown(f, folder) for f in choice[:3])
        why = f"{both} differ, and it is not clear which one counts; hand in one, as {exact.name}"
        return Found(exact, why=why)
    if not choice:
        return Found(exact)
    path = named[0] if len(named) == 1 else choice[0]
    beside = f", since {exact.name} is not answered" if found else ""
    return Found(path, f"{_shown(path, folder)} was used as {exact.name}{beside}; hand it in under this name")


def may_be_meant(name: str) -> bool:
    """Whether a file of this name is a notebook or may hold one, and so belongs where the grader looks."""
    return "ipynb" in name.casefold() or KINDS.get(Path(name).suffix.lower()) in (PACKED, KINDS[".zip"])


def some_files(folder: Path) -> Iterator[Path]:
    """Yield plain files, outer ones first, without links and hidden ones; at most MOST."""
    return islice(_files(folder), MOST)


def _files(folder: Path) -> Iterator[Path]:
    level = [folder]
    for _ in range(DEEP):
        below: list[Path] = []
        for place in level:
            with suppress(OSError):
                entries = sorted(islice(os.scandir(place), 5 * MOST), key=lambda e: e.name)
                for e in entries:
                    if e.name.startswith((".", "__")) or e.is_symlink():
                        continue
                    if e.is_dir(follow_symlinks=False):
                        below.append(place / e.name)
                    elif e.is_file(follow_symlinks=False):
                        yield place / e.name
        level = below[:MOST]


def _stem(path: Path) -> str:
    return path.name.casefold().partition(".ipynb")[0]


def _counts(path: Path) -> bool:
    return path.name != "timestamp.txt"


def _shown(path: Path, folder: Path) -> str:
    return student_of(path.relative_to(folder).as_posix())[-80:]


def _instead(exact: Path, folder: Path, there: Sequence[Path]) -> str:
    if not there:
        return ""
    kinds = ((f, KINDS.get(f.suffix.lower())) for f in there[:3])
    named = ", ".join(f"{_shown(f, folder)} ({kind})" if kind else _shown(f, folder) for f, kind in kinds)
    more = f" and {len(there) - 3} more" if len(there) > 3 else ""
    return f"there is no file {exact.name}, but {named}{more}; hand in the notebook itself as {exact.name}"


def _content(path: Path) -> bytes:
    try:
        return hashlib.sha256(read_slim(path)).digest()
    except Unreadable as e:
        return str(e).encode()


def _holds_answers(path: Path, exercise: Exercise) -> bool:
    names = "|".join(map(re.escape, exercise.answers))
    with suppress(Unreadable):
        return bool(re.search(rf'"grade_id"\s*:\s*"(?:{names})"'.encode(), read_slim(path)))
    return False


def _is_answered(path: Path, exercise: Exercise) -> bool:
    return _holds_one(path, _content(path), exercise.answers)


@functools.lru_cache(maxsize=4096)  # a file is looked for several times, and hostile ones take seconds to search
def _holds_one(path: Path, digest: bytes, answers: tuple[str, ...]) -> bool:
    """Whether the file with this content holds an answer."""
    try:
        extract(path, answers, together=False)
    except Exception:  # whatever a student's file causes
        return False
    return True
