"""From an LMS's download to submitted/STUDENT/ASSIGNMENT/NOTEBOOK.ipynb, with times, names and the original entries.

Nothing is lost: what does not count (earlier attempts, unexpected files) goes to set_aside/, and files not taken at all
stay in the zip. A sentence names each.
"""

from collections.abc import Sequence
from pathlib import Path

from autograder.adapters import classlist
from autograder.adapters.collect import exchange
from autograder.adapters.collect.layouts import FORMATS
from autograder.adapters.collect.people import students
from autograder.adapters.collect.source import Collected, Source
from autograder.adapters.collect.taking import Taking
from autograder.exercises import assignments
from autograder.intake.archive import Entry, opened
from autograder.intake.lms_names import looks_like


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
            raise ValueError(f"{file} has no submissions in the format {source.form}; {why_not(archive.entries)}")
        names, more = students(uploads, people, source.form)
        done.problems += more
        submitted.mkdir(parents=True, exist_ok=True)
        Taking(archive, source, submitted, done).all(uploads, names)
        done.problems = [*archive.problems, *done.problems]
    if people:
        classlist.save((classlist.beside(submitted) | {p.id: p for p in people}).values(), submitted)
    return done


def why_not(entries: Sequence[Entry]) -> str:
    """Return what may be wrong with an archive in which nothing fits the format."""
    if not entries:
        return "it has no files"
    form = next(filter(None, (looks_like(part) for e in entries for part in e.parts)), "")
    return f"its files are named as {form.title()} names them: use --format {form}" if form else "see --format"
