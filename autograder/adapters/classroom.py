"""The class in nbgrader's gradebook: names and extensions; and what it knows about late work and marking."""

from pathlib import Path

from nbgrader.api import Gradebook, SubmittedAssignment

from autograder.adapters import database, extensions, late
from autograder.adapters.classlist import Person
from autograder.adapters.export import awaits_regrade
from autograder.adapters.report.notes import Late, Notes
from autograder.intake.problems import Problem
from autograder.release.generate import load_config


def enter(db_url: str, course: Path, more: extensions.Given, people: dict[str, Person]) -> tuple[Notes, list[Problem]]:
    """Enter names and extensions, recompute penalties, and note what is to be done. `people`: the class."""
    config = load_config(course)
    with database.open_gradebook(db_url, config.CourseDirectory.get("course_id", "default_course")) as gb:
        for person in people.values():
            names = {"last_name": person.last_name, "first_name": person.first_name, "email": person.email}
            gb.update_or_create_student(person.id, **{k: v for k, v in names.items() if v})
        problems = grant(gb, more)
        late.assign_all(gb, late.rule(config))
        submissions = [s for a in gb.assignments for s in a.submissions]
        notebooks = [(_key(s), n, awaits_regrade(s)) for s in submissions for n in s.notebooks]
        notes = Notes(
            people,
            late=tuple(_late(s) for s in submissions if s.total_seconds_late > 0),
            to_mark=tuple((*key, n.name) for key, n, _ in notebooks if _to_mark(n)),
            flagged=tuple((*key, n.name) for key, n, waits in notebooks if n.flagged and n.name not in waits),
        )
        return notes, problems


def grant(gb: Gradebook, given: extensions.Given) -> list[Problem]:
    """Give submissions their extensions; a missing submission gets its extension when it is graded."""
    problems: list[Problem] = []
    assignments = {a.name: a for a in gb.assignments}
    for (student, name), value in given.items():
        if not (assignment := assignments.get(name)):
            problems.append(Problem(student, name, f"{extensions.FILE} has an assignment without any grades yet"))
        elif assignment.duedate is None:
            problems.append(Problem(student, name, f"{extensions.FILE}: the assignment has no due date to extend"))
        else:
            for s in assignment.submissions:
                if s.student.id == student:
                    s.extension = extensions.length(value, assignment.duedate) or None
    gb.db.flush()
    return problems


def _key(s: SubmittedAssignment) -> tuple[str, str]:
    return s.student.id, s.assignment.name


def _late(s: SubmittedAssignment) -> Late:
    extension = s.extension.total_seconds() if s.extension else 0.0
    return Late(*_key(s), s.total_seconds_late, round(s.late_submission_penalty or 0.0, 4), extension)


def _to_mark(notebook) -> bool:
    """Whether a written answer needs a mark, or a second look."""
    answers = {cell.name for cell in notebook.notebook.solution_cells}
    return any(grade.needs_manual_grade for grade in notebook.grades if grade.name in answers)
