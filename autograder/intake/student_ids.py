"""Names of students, as their folders have them: what may become a folder of records, and what may be shown.

A student is a folder in the grader's output and a field of tables. No name may lead elsewhere, hide, meet a file of
ours or of nbgrader's, or carry control characters into a terminal; and two students never share a folder.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable

# Folders that lie beside those of the students, in the output or, where that is the course's own folder, in there.
FOLDERS = {
    *("autograded", "feedback", "graded", "submitted", "source", "release", "exchange", "archive", "solutions"),
    *("exercises", "lessons", "data", "docs", "build", "tests", "autograder", "benchmarks", "playground", "scripts"),
    *("website", "deploy", "makefile", "license"),
}
INSIDE = " -_'@,+()"  # besides letters and digits, what stays as it is within a folder's name
LONGEST = 200  # bytes of a folder's name: a disk takes 255, and drafts of files want some more
_UNSEEN = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
_TAKEN = re.compile(r"%(?=25|[01][0-9A-F]|7F|[89A-F][0-9A-F])")  # how an escape of `student_of` looks


def student_of(folder_name: str) -> str:
    """The student's id: the submitted folder's name; what cannot be printed or stored is written as %XX."""
    if folder_name.isprintable():  # no control characters, no line ends, no bytes that are not UTF-8
        return _TAKEN.sub("%25", folder_name)  # so that it is nobody else's escaped name
    return "".join(c if c.isprintable() and c != "%" else _escaped(c) for c in folder_name)


def compared(name: str) -> str:
    """A name as it is compared: in composed letters, without spaces around it; an address without case."""
    text = " ".join(unicodedata.normalize("NFC", "".join(c for c in name if c not in _UNSEEN)).split())
    return text.casefold() if "@" in text else text


def spelt(names: Iterable[str], students: Iterable[str]) -> dict[str, str]:
    """By each name the student who is meant: the one of that very name, else the only one who is compared equal."""
    known = set(students)
    alike: dict[str, list[str]] = {}
    for student in known:
        alike.setdefault(compared(student), []).append(student)
    found = {n: alike.get(compared(n), [n]) for n in names}
    return {n: n if n in known or len(them) > 1 else them[0] for n, them in found.items()}


def folder_of(student: str) -> str:
    """The folder of a student's records, which no other student has, and no file or folder of ours.

    An ordinary name is its own folder. All files in the output have a dot in their names, and no `@`: so a dot stays in
    addresses alone. Each other character is written as %XX, which no ordinary name holds; a
    disk that takes capital and small letters, or two forms of one letter, for the same cannot make a name ours.
    """
    odd = {c for c in student if not _ordinary(c) and not (c == "." and "@" in student)}
    if not unicodedata.is_normalized("NFC", student):
        odd |= {c for c in student if not c.isascii()}
    odd |= {c for c in (student[0], student[-1]) if c in ". -'@,+()"}
    folded = unicodedata.normalize("NFKC", student).casefold()
    if folded in FOLDERS or folded.endswith(("-journal", "-wal", "-shm")):  # SQLite's, beside a gradebook of any name
        odd.add(student[0])
    made = "".join(_escaped(c) if c in odd else c for c in student)
    if len(os.fsencode(made)) <= LONGEST:
        return made
    return f"{made.encode()[:100].decode(errors='ignore')}%%{hashlib.sha256(os.fsencode(student)).hexdigest()}"


def _ordinary(c: str) -> bool:
    return c.isalnum() or c in INSIDE or unicodedata.category(c)[0] == "M"


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))
