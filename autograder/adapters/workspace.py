"""OUT as a folder in which nbgrader and formgrader can be started: the course's settings, with OUT's own paths."""

from pathlib import Path

from autograder.grading import private
from autograder.release.generate import CONFIG_FILE

TEXT = '''"""nbgrader's settings in this folder. Written by `autograder grade`: edit those of the course instead."""

import os.path

c = get_config()  # noqa: F821  (traitlets puts it there)
if os.path.isfile({config!r}):
    load_subconfig({name!r}, path={course!r})  # noqa: F821

c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.source_directory = {source!r}
# What nbgrader and formgrader read instead of the students' own folders: copies, each with the time that counts.
c.CourseDirectory.submitted_directory = {graded!r}
c.Restored.submitted = {submitted!r}
c.CourseDirectory.db_url = {db_url!r}
'''


GRADED = "graded"  # beside the records: the notebooks that were graded, and timestamp.txt, written by us


def write_settings(out: Path, course: Path, submitted: Path, db_url: str) -> Path | None:
    """Write OUT/nbgrader_config.py, unless OUT is the course's own folder. Only its owner can read it (db_url)."""
    course, file = course.resolve(), out.resolve() / CONFIG_FILE
    for step in ("autograded", "feedback", GRADED):  # nbgrader makes their contents readable by all
        if private.folder(made := file.parent / step).stat().st_mode & 0o007:
            made.chmod(private.FOLDER)
    if file.parent == course:
        return None
    text = TEXT.format(
        config=str(course / CONFIG_FILE), name=CONFIG_FILE, course=str(course), source=str(course / "solutions"),
        graded=GRADED, submitted=str(submitted.resolve()), db_url=db_url,
    )  # fmt: skip
    private.write_text(file, text)
    return file
