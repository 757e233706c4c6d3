"""What to collect, and the result."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from pathlib import Path

from autograder.adapters.collect import tables
from autograder.adapters.collect.layouts import Upload
from autograder.intake.student_ids import compared

ENTRIES = "entries"  # instead of a table of times: use the archive's own


@dataclass
class Collected:
    """The result, for the terminal."""

    students: set[str] = field(default_factory=set)
    notebooks: int = 0
    late: set[str] = field(default_factory=set)  # according to the LMS
    untimed: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """The download's format and assignment, and other sources on who handed in when."""

    form: str
    assignment: str | None = None
    roster: Path | None = None
    key: str | None = None  # the roster's column with the folder names
    times: Path | str | None = None  # a table, or ENTRIES
    zone: tzinfo | None = None  # for times without one; None: this machine's

    @cached_property
    def _worksheet(self) -> dict[str, tuple[str | None, bool]]:
        return tables.worksheet(self.roster, self.zone) if self.form == "moodle" and self.roster else {}

    @cached_property
    def _given(self) -> dict[str, str]:
        return tables.given(Path(self.times), self.zone) if self.times and self.times != ENTRIES else {}

    def check(self) -> None:
        """ValueError for invalid tables, before anything is taken."""
        _ = self._worksheet, self._given

    def when(self, student: str, uploads: Sequence[Upload]) -> tuple[str | None, bool]:
        """When a student handed in, in ISO 8601 if known, and whether the LMS calls it late."""
        user = uploads[0].user
        time, late = self._worksheet.get(user, (None, False))
        if self.times == ENTRIES:
            known = [u.entry.modified for u in uploads if u.entry.modified]
            time = tables.stamp(max(known), self.zone) if known else None
        return self._given.get(compared(student)) or self._given.get(user) or time, late or any(u.late for u in uploads)
