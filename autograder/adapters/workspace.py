"""OUT as a folder that nbgrader and formgrader can be started in: the course's settings, with OUT's own places."""

import os
from pathlib import Path

from autograder.release.generate import CONFIG_FILE

TEXT = '''"""nbgrader's settings in this folder. Written by `autograder grade`: edit those of the course instead."""

import os.path

c = get_config()  # noqa: F821  (traitlets puts it there)
if os.path.isfile({config!r}):
    load_subconfig({name!r}, path={course!r})  # noqa: F821

c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.source_directory = {source!r}
c.CourseDirectory.submitted_directory = {submitted!r}  # formgrader compares its timestamp.txt with the graded one
c.CourseDirectory.db_url = {db_url!r}
'''


def write_settings(out: Path, course: Path, submitted: Path, db_url: str) -> Path | None:
    """OUT/nbgrader_config.py, unless OUT is the course's own folder. Readable by its owner alone: it holds db_url."""
    course, file = course.resolve(), out.resolve() / CONFIG_FILE
    if file.parent == course:
        return None
    text = TEXT.format(
        config=str(course / CONFIG_FILE), name=CONFIG_FILE, course=str(course), source=str(course / "solutions"),
        submitted=str(submitted.resolve()), db_url=db_url,
    )  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{CONFIG_FILE}.tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    os.replace(temporary, file)
    return file
