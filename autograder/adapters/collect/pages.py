"""Pages of feedback on their way back."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Page:
    """About one notebook of one student."""

    student: str
    notebook: str
    entry: str  # the file's name where it came from
    content: bytes


@dataclass
class Given:
    """What was given back, and what was not."""

    students: set[str] = field(default_factory=set)
    pages: int = 0
    problems: list[str] = field(default_factory=list)

    def count(self, page: Page) -> None:
        self.students.add(page.student)
        self.pages += 1
