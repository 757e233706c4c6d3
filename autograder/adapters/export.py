"""`nbgrader export` for this course: nbgrader's table, but missing scores are blank and names are quoted.

nbgrader_config.py names this class. nbgrader's own plugin prints 0.0 for a submission whose grading failed.
"""

from collections.abc import Sequence
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment
from nbgrader.plugins import ExportPlugin

from autograder.adapters import late
from autograder.adapters.table import csv_text
from autograder.grading import private

COLUMNS = (
    *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"),
    *("raw_score", "late_submission_penalty", "score", "max_score"),
)


def awaits_regrade(submission: SubmittedAssignment) -> list[str]:
    """Notebooks in which a test cell has no score, automatic or by hand (written answers do not count here)."""
    waiting = []
    for notebook in submission.notebooks:
        answers = {cell.name for cell in notebook.notebook.solution_cells}
        tests = [grade for grade in notebook.grades if grade.name not in answers]
        if any(grade.auto_score is None and grade.manual_score is None for grade in tests):
            waiting.append(notebook.name)
    return waiting


class CsvExport(ExportPlugin):
    """One row per assignment and student, with totals, as nbgrader's CSV exporter writes them.

    Late penalties are updated first, since there may be new marks by hand.
    """

    def export(self, gradebook: Gradebook) -> None:
        late.assign_all(gradebook, late.rule(self.config))
        students, assignments = {str(s) for s in self.student}, {str(a) for a in self.assignment}  # empty: all
        rows: list[Sequence[object]] = [COLUMNS]
        for assignment in gradebook.assignments:
            for student in gradebook.students:
                if (not assignments or assignment.name in assignments) and (not students or student.id in students):
                    row = _row(gradebook, assignment, student)
                    rows.append([row.get(column) for column in COLUMNS])
        private.write_text(Path(self.to or "grades.csv"), csv_text(rows))


def _row(gradebook: Gradebook, assignment, student) -> dict[str, object]:
    row = {"assignment": assignment.name, "duedate": assignment.duedate, "max_score": assignment.max_score}
    row |= {"student_id": student.id, "last_name": student.last_name, "first_name": student.first_name}
    row |= {"email": student.email}
    try:
        submission = gradebook.find_submission(assignment.name, student.id)
    except MissingEntry:  # nothing was handed in
        return row | {"raw_score": 0.0, "late_submission_penalty": 0.0, "score": 0.0}
    row |= {"timestamp": submission.timestamp, "late_submission_penalty": submission.late_submission_penalty}
    if awaits_regrade(submission):
        return row
    penalty = submission.late_submission_penalty or 0.0
    return row | {"raw_score": submission.score, "score": max(0.0, submission.score - penalty)}
