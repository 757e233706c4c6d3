"""What the records do not contain: who is who, who is late, what needs marking, and the grader's remarks."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograder.adapters.classlist import Person
from autograder.grading.progress import span
from autograder.intake.problems import Problem
from autograder.intake.student_ids import folder_of


@dataclass(frozen=True)
class Late:
    """A submission after its due date, extension included."""

    student: str
    assignment: str
    seconds: float
    penalty: float  # points taken off
    extension: float = 0.0  # seconds granted

    @property
    def text(self) -> str:
        granted = f" after an extension of {span(self.extension)}" if self.extension else ""
        return f"{span(self.seconds)} late{granted}; " + (
            f"{self.penalty:g} points off" if self.penalty else "no penalty"
        )


@dataclass(frozen=True)
class Notes:
    """All of it, for the report and the table."""

    people: dict[str, Person] = field(default_factory=dict)
    late: tuple[Late, ...] = ()
    to_mark: tuple[tuple[str, str, str], ...] = ()  # (student, assignment, notebook)
    flagged: tuple[tuple[str, str, str], ...] = ()  # in formgrader, by a marker
    flags: tuple[Problem, ...] = ()  # the grader's own remarks on single notebooks
    asked: tuple[Problem, ...] = ()  # open requests for a regrade
    variants: dict[str, int] = field(default_factory=dict)  # of the exercises, by student

    def who(self, student: str) -> str:
        """The name and id, or only the id; and the variant."""
        person, variant = self.people.get(student), self.variants.get(student)
        who = f"{person.name} ({student})" if person and person.name else student
        return who if variant is None else f"{who}, variant {variant}"

    def absent(self, records: Iterable[dict]) -> dict[str, list[str]]:
        """Members of the class without a record, by assignment; empty if there is no class list."""
        handed_in: dict[str, set[str]] = {}
        for record in records:
            handed_in.setdefault(record["extra_data"]["assignment"], set()).add(record["extra_data"]["student"])
        found = {assignment: sorted(self.people.keys() - there) for assignment, there in sorted(handed_in.items())}
        return {assignment: students for assignment, students in found.items() if students}


def flags(records: Sequence[dict], out: Path) -> tuple[Problem, ...]:
    """The sentences in `flags` of each instructor.json, for the whole submission or a notebook."""
    found: list[Problem] = []
    for record in records:
        student, assignment = record["extra_data"]["student"], record["extra_data"]["assignment"]
        try:
            text = (out / folder_of(student) / assignment / "instructor.json").read_text(encoding="utf-8")
            private = json.loads(text)
        except (OSError, ValueError):
            continue
        own = {n: p.get("flags") for n, p in private.items() if isinstance(p, dict)}
        for where, said in {assignment: private.get("flags"), **own}.items():
            found += [Problem(student, where, str(sentence)) for sentence in said or []]
    return tuple(found)
