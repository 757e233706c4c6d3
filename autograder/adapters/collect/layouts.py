"""Which file is whose, by the names that Canvas, Moodle or a plain zip use; and the names of files to return.

A plain zip: STUDENT/ASSIGNMENT/FILE or STUDENT/FILE, possibly all inside one more folder. nbgrader's exchange:
STUDENT+ASSIGNMENT+TIME/FILE.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autograder.exercises import assignments
from autograder.intake.archive import Entry, shown
from autograder.intake.lms_names import CANVAS, MOODLE, looks_like

SUBMISSION = re.compile(r"(?P<student>[^+]+)\+(?P<assignment>[^+]+)\+(?P<time>[0-9:. -]+) UTC(\+.*)?", re.S)
SUFFIX = re.compile(
    r"(?P<stem>.+?)(?:-(?P<a>[0-9]{1,6})| ?\((?P<b>[0-9]{1,6})\)|-Copy(?P<c>[0-9]{0,6}))?\.ipynb", re.S | re.I
)


@dataclass(frozen=True)
class Upload:
    """One file that somebody handed in."""

    user: str  # the LMS's number for the person, or in a plain zip the folder's name
    name: str  # the person's name, as the LMS writes it
    file: str  # its name when handed in
    order: tuple[int, ...]  # of several attempts at a notebook, the highest counts
    late: bool  # according to the LMS; Moodle says so only in its worksheet
    entry: Entry
    assignment: str = ""  # if a plain zip has it

    @property
    def tries(self) -> int:
        """How often it was handed in, according to its name."""
        match = SUFFIX.fullmatch(self.file)
        return 1 + int(match["a"] or 0) if match else 1

    def attempt(self, known: Sequence[str]) -> tuple[str | None, tuple[int, ...]]:
        """Which of the known notebooks this is, if any, and its place among the attempts at it.

        If the LMS does not number attempts, the requested name ranks above EMA-1, "ema (2)" or ema-Copy1, which are how
        browsers and Jupyter name a second copy.
        """
        names = {f"{name}.ipynb".casefold(): name for name in known}
        exact, match = names.get(self.file.casefold()), SUFFIX.fullmatch(self.file)
        name = exact or (match and names.get(f"{match['stem']}.ipynb".casefold()))
        if not name:
            return None, ()
        number = 0 if exact else int(match["a"] or match["b"] or match["c"] or 1)
        rank = 2 if self.file == f"{name}.ipynb" else 1 if exact else 0
        return name, (*(self.order or (rank,)), number)


Read = tuple[list[Upload], list[str]]  # and sentences on the entries that are not submissions


def canvas(entries: Sequence[Entry]) -> Read:
    found, problems = [], []
    for entry in entries:
        if not (m := CANVAS.fullmatch(entry.parts[-1])):
            typed = re.search(r"_[0-9]+_(text|link)\.html$", entry.parts[-1])
            why = "was typed into Canvas and is not a file" if typed else "does not have a name that Canvas gives"
            problems.append(f"{shown(entry.name)} {why}; not taken")
            continue
        order = (int(m["number"]),)
        found.append(Upload(m["user"], m["name"] or "", m["file"], order, bool(m["late"]), entry))
    return found, problems


def moodle(entries: Sequence[Entry]) -> Read:
    found, problems = [], []
    for entry in entries:
        matches = [(i, m) for i, part in enumerate(entry.parts) if (m := MOODLE.fullmatch(part))]
        if not matches:
            problems.append(f"{shown(entry.name)} does not have a name that Moodle gives; not taken")
            continue
        i, m = matches[0]
        within = [part for part in ((m["rest"] or "").removeprefix("_"), *entry.parts[i + 1 :]) if part]
        if m["kind"] != "file" or not within:
            problems.append(f"{shown(entry.name)} was typed into Moodle and is not a file; not taken")
        else:
            found.append(Upload(m["user"], m["name"], within[-1], (), False, entry))
    return found, problems


def plain(entries: Sequence[Entry]) -> Read:
    found, problems = [], []
    known, around = assignments(), {e.parts[0] for e in entries}
    wrapped = len(around) == 1 and all(
        len(e.parts) >= 3 and (len(e.parts) > 3 or e.parts[1] not in known) for e in entries
    )
    for entry in entries:
        parts = entry.parts[1:] if wrapped else entry.parts
        if looks_like(parts[0]) == "moodle":
            problems.append(f"{shown(entry.name)} has a name that Moodle gives; not taken")
        elif len(parts) == 3 and parts[1] in known:
            found.append(Upload(parts[0], "", parts[2], (), False, entry, parts[1]))
        elif len(parts) == 2:
            found.append(Upload(parts[0], "", parts[1], (), False, entry))
        else:
            where = "STUDENT/ASSIGNMENT/NOTEBOOK.ipynb or STUDENT/NOTEBOOK.ipynb"
            problems.append(f"{shown(entry.name)} is not in {where}; not taken")
    return found, problems


def nbgrader(entries: Sequence[Entry]) -> Read:
    found, problems = [], []
    for entry in entries:
        m = SUBMISSION.fullmatch(entry.parts[0])
        if m and len(entry.parts) == 2:
            order = tuple(int(number) for number in re.findall("[0-9]+", m["time"]))
            found.append(Upload(m["student"], "", entry.parts[1], order, False, entry, m["assignment"]))
        else:
            problems.append(f"{shown(entry.name)} is not in STUDENT+ASSIGNMENT+TIME; not taken")
    return found, problems


FORMATS: dict[str, Callable[[Sequence[Entry]], Read]] = {
    "canvas": canvas, "moodle": moodle, "zip": plain, "nbgrader": nbgrader
}  # fmt: skip


def wanted_back(form: str, entry: str, student: str, assignment: str, page: str) -> str:
    """The name, in the zip of feedback, of the page PAGE.html for the submission `entry`."""
    parts = entry.split("/")
    if form == "canvas":
        m = CANVAS.fullmatch(parts[-1])
        return f"{parts[-1][: m.start('file')]}{page}"
    if form == "moodle":
        part = next(p for p in parts if MOODLE.fullmatch(p))
        m = MOODLE.fullmatch(part)
        rest = (m["rest"] or "").removeprefix("_")
        return f"{part[: len(part) - len(rest)]}{page}" if rest else f"{part}/{page}"
    return f"{student}/{assignment}/{page}"
