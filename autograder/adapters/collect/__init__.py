"""From an LMS's download to submitted/STUDENT/ASSIGNMENT/NOTEBOOK.ipynb, with times, names and the original entries.

Nothing is lost: what does not count (earlier attempts, unexpected files) goes to set_aside/, and files not taken at all
stay in the zip. A sentence names each.
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
    """Import a download. ValueError, in one sentence, if nothing can be imported."""
    if source.assignment and source.assignment not in assignments():
        raise ValueError(f"unknown assignment '{source.assignment}'; known: {', '.join(assignments())}")
    if source.form in ("canvas", "moodle") and not source.assignment:
        raise ValueError(
            f"a download from {source.form.title()} does not say which assignment it is; give it with --assignment"
        )
    people = classlist.read(source.roster, source.key) if source.roster else []
    source.check()
    done = Collected()
    with exchange.opened(file, source.assignment) if source.form == "nbgrader" else opened(file) as archive:
        uploads, done.problems = FORMATS[source.form](archive.entries)
        if not uploads:
            hint = "see --format" if archive.entries else "it has no files"
            raise ValueError(f"{file} has no submissions in the format {source.form}; {hint}")
        names, more = students(uploads, people, source.form)
        done.problems += more
        submitted.mkdir(parents=True, exist_ok=True)
        Taking(archive, source, submitted, done).all(uploads, names)
        done.problems = [*archive.problems, *done.problems]
    if people:
        classlist.save((classlist.beside(submitted) | {p.id: p for p in people}).values(), submitted)
    return done
