"""Turns the names of students' folders into ids that can be shown and into names for folders of records.

A student becomes a folder in the grader's output and a field in tables. No name may lead elsewhere, be hidden, clash
with a file of ours or of nbgrader's, or carry control characters into a terminal. Two students never share a folder.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable

# Folders beside those of the students, in the output or, if the output is the course's own folder, in the course.
FOLDERS = {
    *("autograded", "feedback", "graded", "submitted", "source", "release", "exchange", "archive", "solutions"),
    *("exercises", "lessons", "data", "docs", "build", "tests", "autograder", "benchmarks", "playground", "scripts"),
    *("website", "deploy", "makefile", "license"),
}
INSIDE = " -_'@,+()"  # characters besides letters and digits that stay unchanged inside a folder's name
LONGEST = 200  # bytes in a folder's name: file systems allow 255, and temporary files need a few more
_UNSEEN = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
_TAKEN = re.compile(r"%(?=25|[01][0-9A-F]|7F|[89A-F][0-9A-F])")  # what looks like an escape made by `student_of`


def student_of(folder_name: str) -> str:
    """Return the student's id: the submitted folder's name, with %XX for what cannot be printed or stored."""
    if folder_name.isprintable():  # no control characters, no newlines, no bytes that are not UTF-8
        return _TAKEN.sub("%25", folder_name)  # so that it equals nobody else's escaped name
    return "".join(c if c.isprintable() and c != "%" else _escaped(c) for c in folder_name)


def compared(name: str) -> str:
    """Return the form in which names are compared: composed letters, single spaces, and addresses without case."""
    text = " ".join(unicodedata.normalize("NFC", "".join(c for c in name if c not in _UNSEEN)).split())
    return text.casefold() if "@" in text else text


def spelt(names: Iterable[str], students: Iterable[str]) -> dict[str, str]:
    """Map each name to the student who is meant: the one with exactly that name, or else the only similar one.

    A name without such a student is mapped to itself.
    """
    known = set(students)
    alike: dict[str, list[str]] = {}
    for student in known:
        alike.setdefault(compared(student), []).append(student)
    found = {n: alike.get(compared(n), [n]) for n in names}
    return {n: n if n in known or len(them) > 1 else them[0] for n, them in found.items()}


def folder_of(student: str) -> str:
    """Return the folder for a student's records, which no other student and no file or folder of ours has.

    An ordinary name is its own folder. All files in the output have a dot and no `@` in their names, so a dot is kept
    only in addresses. Any other character is written as %XX, which no ordinary name contains. Even on a disk that does
    not distinguish case, or two forms of one letter, no student's name can become one of ours.
    """
    odd = {c for c in student if not _ordinary(c) and not (c == "." and "@" in student)}
    if not unicodedata.is_normalized("NFC", student):
        odd |= {c for c in student if not c.isascii()}
    odd |= {c for c in (student[0], student[-1]) if c in ". -'@,+()"}
    folded = unicodedata.normalize("NFKC", student).casefold()
    if folded in FOLDERS or folded.endswith(("-journal", "-wal", "-shm")):  # SQLite's files beside any gradebook
        odd.add(student[0])
    made = "".join(_escaped(c) if c in odd else c for c in student)
    if len(os.fsencode(made)) <= LONGEST:
        return made
    return f"{made.encode()[:100].decode(errors='ignore')}%%{hashlib.sha256(os.fsencode(student)).hexdigest()}"


def _ordinary(c: str) -> bool:
    return c.isalnum() or c in INSIDE or unicodedata.category(c)[0] == "M"


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))
