"""From an LMS's download to submitted/STUDENT/ASSIGNMENT/NOTEBOOK.ipynb, with times, names and what was what there.

Nothing is lost: what does not count (an earlier attempt, a file that nobody asked for) lies in set_aside/, and what is
not even taken stays in the zip; each is named in a sentence.
"""

from pathlib import Path

from autograder.adapters import classlist
from autograder.adapters.collect import exchange
from autograder.adapters.collect.layouts import FORMATS
from autograder.adapters.collect.people import students
from autograder.adapters.collect.source import Collected, Source
from autograder.adapters.collect.taking import Taking
from autograder.exercises import assignments
from autograder.intake.archive import opened


def collect(file: Path, source: Source, submitted: Path) -> Collected:
    """Take over a download. ValueError, in one sentence, where nothing can be."""
    if source.assignment and source.assignment not in assignments():
        raise ValueError(f"unknown assignment '{source.assignment}'; known: {', '.join(assignments())}")
    if source.form in ("canvas", "moodle") and not source.assignment:
        raise ValueError(f"a download from {source.form.title()} does not say of what; name it with --assignment")
    people = classlist.read(source.roster, source.key) if source.roster else []
    source.check()
    done = Collected()
    with exchange.opened(file, source.assignment) if source.form == "nbgrader" else opened(file) as archive:
        uploads, done.problems = FORMATS[source.form](archive.entries)
        if not uploads:
            hint = "see --format" if archive.entries else "it holds no file"
            raise ValueError(f"{file} holds no submission of the format {source.form}; {hint}")
        names, more = students(uploads, people, source.form)
        done.problems += more
        submitted.mkdir(parents=True, exist_ok=True)
        Taking(archive, source, submitted, done).all(uploads, names)
        done.problems = [*archive.problems, *done.problems]
    if people:
        classlist.save((classlist.beside(submitted) | {p.id: p for p in people}).values(), submitted)
    return done
