"""One row per student and question: points, outcome and message. Nothing students may not see.

A question is a cell with points, as in nbgrader: the points of a student's rows add up to the raw score.
Points and comments come from the gradebook, marks by hand included; outcomes and messages from the records.
"""

from collections.abc import Iterable, Sequence

from nbgrader.api import Assignment, Grade, Gradebook, SubmittedNotebook

from autograder.adapters.feedback import cells_of_tests
from autograder.exercises import EXERCISES

COLUMNS = ("student", "assignment", "notebook", "question", "points", "max_points", "outcome", "message")


def rows(gb: Gradebook, records: Iterable[dict], assignments: Sequence[str] = ()) -> list[dict[str, object]]:
    """Rows ordered by assignment, student, notebook and question; assignments: () for all.

    `points` is "" if there is no score yet. A student who handed in nothing has outcome "missing" and 0 points.
    """
    told = {(r["extra_data"]["student"], r["extra_data"]["assignment"]): r for r in records}
    out: list[dict[str, object]] = []
    for assignment in sorted(gb.assignments, key=lambda a: a.name):
        if assignments and assignment.name not in assignments:
            continue
        handed_in = {s.student.id: s for s in assignment.submissions}
        for student in sorted(s.id for s in gb.students):
            if student not in handed_in:
                out += _nothing(assignment, student)
                continue
            record = told.get((student, assignment.name), {})
            for entry in sorted(handed_in[student].notebooks, key=lambda n: n.name):
                order = _cells(assignment.name, entry.name)
                for grade in sorted(entry.grades, key=lambda g: (order.get(g.name, len(order)), g.name)):
                    out.append(_row(assignment.name, student, entry, grade, record))
    return out


def _cells(assignment: str, notebook: str) -> dict[str, int]:
    """The position of each test cell in its notebook, by grade_id."""
    exercise = EXERCISES.get((assignment, notebook))
    names = [*cells_of_tests(assignment, notebook).values(), *(exercise.written if exercise else ())]
    return {name: i for i, name in enumerate(dict.fromkeys(names))}


def _row(assignment: str, student: str, entry: SubmittedNotebook, grade: Grade, record: dict) -> dict[str, object]:
    given = record.get("extra_data", {}).get("notebooks", {}).get(entry.name, {})
    outcome = given.get("outcome", "")
    scored = grade.auto_score is not None or grade.manual_score is not None
    points = round(grade.score, 4) if scored else ""
    judged = bool(given) and outcome != "infrastructure_error"
    message = _message(assignment, entry, grade, record.get("tests") or (), judged)
    values = (student, assignment, entry.name, grade.name, points, grade.max_score, outcome, message)
    return dict(zip(COLUMNS, values))


def _message(assignment: str, entry: SubmittedNotebook, grade: Grade, tests: Sequence[dict], judged: bool) -> str:
    """The student's message: for a test cell, every failed check; for a written answer, the comment."""
    parts = []
    if comment := next((c.comment for c in entry.comments if c.name == grade.name), None):
        parts.append(comment)
    elif grade.needs_manual_grade and grade.auto_score is None and judged:
        parts.append("to be marked" if grade.manual_score is None else "to be looked at again")
    if grade.manual_score is not None and grade.auto_score is not None:
        parts.append(f"marked by hand; the checks gave {grade.auto_score:g}")
    bearers = cells_of_tests(assignment, entry.name)
    for test in tests:
        notebook, _, check = str(test.get("name")).partition(": ")
        own = notebook == entry.name and bearers.get(check) == grade.name and test.get("visibility") != "hidden"
        if own and test.get("status") != "passed":
            parts.append(f"{check}: {test.get('output')}")
    return "; ".join(parts)


def _nothing(assignment: Assignment, student: str) -> list[dict[str, object]]:
    cells = sorted((n.name, cell.name, 0.0, cell.max_score) for n in assignment.notebooks for cell in n.grade_cells)
    rest = "missing", "nothing was handed in"
    return [dict(zip(COLUMNS, (student, assignment.name, *cell, *rest))) for cell in cells]
