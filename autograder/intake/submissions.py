"""Finds submissions, that is each student's folder of an assignment, in nbgrader's layout."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from autograder.exercises import EXERCISES, assignments, of_assignment
from autograder.exercises.base import Exercise
from autograder.intake.handed_in import Found, look, may_be_meant
from autograder.intake.lms_names import TAKE_OVER, hint, looks_like
from autograder.intake.problems import Problem
from autograder.intake.student_ids import folder_of, student_of

NO_NAME = "no assignment has this name; rename the folder"


@dataclass(frozen=True)
class Submission:
    """One student's folder of one assignment, or some of its notebooks."""

    student: str
    assignment: str
    folder: Path
    only: tuple[str, ...] = ()  # notebooks to grade; empty: all
    unreadable: dict[str, str] = field(default_factory=dict, hash=False)  # the reason if one could not go to a worker
    said: dict[str, str] = field(default_factory=dict, hash=False)  # `Found.said` of what went to a worker

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        return tuple(e for e in of_assignment(self.assignment) if not self.only or e.name in self.only)

    @property
    def files(self) -> dict[str, Path]:
        return {e.name: self.found(e.name).path for e in self.exercises}

    def found(self, notebook: str) -> Found:
        """Find a notebook, or what is there instead."""
        every = of_assignment(self.assignment)
        return look(self.folder, next(e for e in every if e.name == notebook), [e.name for e in every])

    def taken(self, notebook: str) -> str:
        """Return what to tell the student if another file was used in its place, otherwise ""."""
        return self.said.get(notebook) or self.found(notebook).said

    @property
    def name(self) -> str:
        return f"{self.student}/{self.assignment}"

    def problem(self, notebook: str) -> str | None:
        """Return the reason why a notebook is not even opened, such as a folder that is a link to another student's."""
        return self.problem_of_folder() or self.unreadable.get(notebook) or self.found(notebook).why or None

    def problem_of_folder(self) -> str | None:
        try:
            linked = self.folder.is_symlink() or self.folder.parent.is_symlink()
        except OSError as e:  # the student's doing, as far as we know, and not an error of ours
            return f"The folder {self.student}/{self.assignment} cannot be opened ({e.strerror}); hand it in again."
        if linked:
            return f"The folder {self.student}/{self.assignment} is a link; hand in the files themselves."
        return None

    def records(self, out: Path) -> Path:
        return out / folder_of(self.student) / self.assignment


def find(
    submitted: Path, assignment: str | None = None, student: str | None = None, only: tuple[str, ...] = ()
) -> list[Submission]:
    """Find submissions in nbgrader's layout; ValueError names what is unknown or missing. `only`: these notebooks."""
    if assignment and assignment not in assignments():
        raise ValueError(f"unknown assignment '{assignment}'; known: {', '.join(assignments())}")
    known = {e.name: a for (a, _), e in EXERCISES.items() if assignment in (None, a)}
    if unknown := [name for name in only if name not in known]:
        raise ValueError(f"unknown notebook '{unknown[0]}'; known: {', '.join(known)}")
    if not submitted.is_dir():
        raise ValueError(f"there is no folder {submitted}; it should hold STUDENT/ASSIGNMENT/NOTEBOOK.ipynb")
    wanted = (assignment,) if assignment else tuple(a for a in assignments() if not only or a in map(known.get, only))
    found = [
        Submission(student_of(person.name), a, person / a, only)
        for person in sorted(submitted.iterdir())
        if student in (None, person.name, student_of(person.name))
        for a in wanted
        if _may_hold(person / a)
    ]
    if not found:
        whose, what = f" of {student}" if student else "", "it should hold STUDENT/ASSIGNMENT/NOTEBOOK.ipynb"
        raise ValueError(f"no submission{whose} in {submitted}; {what}; {hint(p.name for p in submitted.iterdir())}")
    return found


def apart(submissions: list[Submission], out: Path) -> None:
    """Raise ValueError if records would be written into a submission."""
    handed_in = {s.folder.parents[1].resolve() / s.folder.parent.name / s.assignment for s in submissions}  # no links
    for s in submissions:
        records = s.records(out.resolve())
        if not handed_in.isdisjoint((records, *records.parents)):
            raise ValueError(f"{out} would put the records of {s.name} into a submission; choose a separate folder")


def unrecognised(submitted: Path, out: Path) -> list[Problem]:
    """Return problems for what lies in `submitted` (except `out`) but is not graded.

    Among these are folders not named after an assignment, and students without any folder of an assignment.
    """
    odd = []
    for person in sorted(submitted.iterdir()):
        with suppress(OSError):  # what cannot be examined gets a record that says so
            who = student_of(person.name)
            if person.is_symlink() and not any(map(_may_hold, (person / a for a in assignments()))):
                odd.append(Problem(who, "", "not graded: a link; hand in the files themselves"))
                continue
            if not person.is_dir():
                if looks_like(person.name):
                    odd.append(Problem(who, "", f"not graded: {TAKE_OVER}"))
                elif may_be_meant(person.name):
                    odd.append(Problem(who, "", "a file, not a student's folder; put it into STUDENT/ASSIGNMENT/"))
                continue
            if person.name.startswith(".") or person.resolve() == out.resolve():
                continue
            inside = sorted(f for f in person.iterdir() if not f.name.startswith("."))
            folders = [f.name for f in inside if f.is_dir()]
            odd += [Problem(who, student_of(f), f"not graded: {NO_NAME}") for f in folders if f not in assignments()]
            loose = [student_of(f.name) for f in inside if may_be_meant(f.name) and f.is_file()]
            if looks_like(person.name) and not set(folders) & set(assignments()):
                odd.append(Problem(who, "", f"not graded: {TAKE_OVER}"))
            elif not folders:
                lie = f"; {', '.join(loose[:3])} should be in one" if loose else ""
                odd.append(Problem(who, "", f"not graded: there is no folder of an assignment{lie}"))
            elif loose:
                odd.append(Problem(who, "", f"{', '.join(loose[:3])} lies outside the assignments' folders"))
    return odd


def _may_hold(folder: Path) -> bool:
    """Whether something may have been handed in there. What cannot be examined gets a record that says so."""
    try:
        return folder.is_dir() or folder.is_symlink()
    except OSError:
        return True
