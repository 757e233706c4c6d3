"""Problems that an instructor should look into before trusting a table, by student, for the report and grades.csv."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One oddity in a student's folder, record or time of submission."""

    student: str
    where: str  # the assignment, or the name of its folder; "" if it is not about one
    text: str  # what is wrong, and the remedy

    def __str__(self) -> str:
        return f"{self.student}/{self.where}: {self.text}" if self.where else f"{self.student}: {self.text}"
