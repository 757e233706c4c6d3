"""From an LMS's number for a person to the name of the student's folder; no two people share one."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autograder.adapters.classlist import Person, safe
from autograder.adapters.collect.layouts import Upload
from autograder.intake.archive import shown
from autograder.intake.student_ids import compared

FOLDERS = ("zip", "nbgrader")  # formats in which the folder has the person's id


@dataclass(frozen=True)
class Named:
    """A student: the folder's name, and the person's if known."""

    folder: str
    name: str


def students(uploads: Sequence[Upload], people: Sequence[Person], form: str) -> tuple[dict[str, Named], list[str]]:
    """Students by their name in the download (`Upload.user`), and sentences on doubtful ones.

    For Canvas and Moodle: the roster's id, found by the number in the file's name. Without a roster: Canvas's number,
    which stays the same, or for Moodle, whose numbers change with every assignment, the person's name.
    """
    names = {u.user: u.name for u in uploads}
    by_number, by_id = {p.lms: p for p in people if p.lms}, {compared(p.id): p for p in people}
    whole = Counter(_folded(f"{p.first_name} {p.last_name}") for p in people)
    by_name = {n: p for p in people if whole[n := _folded(f"{p.first_name} {p.last_name}")] == 1}
    namesakes = Counter(_folded(safe(name)) for name in names.values())
    found: dict[str, Named] = {}
    problems: list[str] = []
    for user, name in names.items():
        alone = namesakes[_folded(safe(name))] == 1
        person = by_id.get(compared(user)) if form in FOLDERS else by_number.get(user)
        if form == "moodle" and not person and alone:
            person = next((by_name[part] for part in _parts(_folded(name)) if part in by_name), None)
        if form in FOLDERS:
            found[user] = Named(user, person.name if person else "")
        elif person:
            found[user] = Named(person.id, person.name)
        else:
            folder = (
                user if form == "canvas" else safe(name) if alone and safe(name) else f"{safe(name)} ({user})".strip()
            )
            found[user] = Named(folder, name)
        if people and not person:
            problems.append(f"{shown(found[user].folder)} ({name or user}) is not in the roster")
    taken: dict[str, str] = {}
    for user, named in list(found.items()):  # the first in the archive wins
        if (other := taken.setdefault(_folded(named.folder), user)) != user:
            here, there = shown(named.folder), shown(found[other].folder)
            problems.append(
                f"{here} and {there} are the same name on some disks; no files of {here} ({user}) were taken: rename "
                "one of the two"
            )
            del found[user]
    return found, problems


def _parts(name: str) -> list[str]:
    """A name, and the name without what may be a group: "group a-jean-luc picard" """
    words = name.split("-")
    return ["-".join(words[i:]).strip() for i in range(len(words))]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()
