"""What an instructor should look into before trusting a table: named by student, in the report and in grades.csv."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is odd about a student's folder, record or time of submission."""

    student: str
    where: str  # the assignment, or what its folder is called; nothing where it is not about one
    text: str  # what is wrong, and the remedy

    def __str__(self) -> str:
        return f"{self.student}/{self.where}: {self.text}" if self.where else f"{self.student}: {self.text}"
