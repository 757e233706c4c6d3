"""nbgrader's gradebook, on SQLite or a database server: opened, or one sentence on why it cannot be.

Which one: `autograder grade --gradebook URL`, else `c.CourseDirectory.db_url` in the course's nbgrader_config.py, else
OUT/gradebook.db. Any URL of SQLAlchemy will do; PostgreSQL's is postgresql+psycopg://user@host/database (psycopg 3).
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from nbgrader.api import Comment, Grade, Gradebook, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import Index, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from autograder.grading import private
from autograder.release.generate import load_config

CONNECT_S = "10"  # a host that does not answer at all would hold a batch for minutes
MAGIC = b"SQLite format 3"  # the start of an SQLite file
# The columns by which nbgrader looks up a student's rows. Its own tables have no index on them, so each look-up reads
# the rows of the whole class.
INDEXES = tuple(
    Index(f"ix_{column.table.name}_{column.name}", column)
    for column in (
        SubmittedAssignment.__table__.c.student_id, SubmittedNotebook.__table__.c.assignment_id,
        Grade.__table__.c.notebook_id, Comment.__table__.c.notebook_id,
    )
)  # fmt: skip
KEPT = "records on disk are kept; run the same command again once it can be reached"


class GradebookError(ValueError):
    """The gradebook cannot be used at all; the message is one sentence without a password."""


def in_folder(out: Path, course: Path, given: str | None = None) -> str:
    """The URL of the gradebook for the grades in `out`: the given one, the course's, or a file in `out`."""
    configured = load_config(course).CourseDirectory.get("db_url", None)
    return given or configured or f"sqlite:///{(out / 'gradebook.db').resolve()}"


def parse(db_url: str) -> URL:
    """The URL with a connection timeout; GradebookError if it is not a URL, or its driver is not installed."""
    try:
        url = make_url(db_url)
        url.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError):
        name = db_url.partition(":")[0]
        hint = "write postgresql+psycopg://" if name.startswith("postgres") else "install one"
        raise GradebookError(f"there is no driver for a gradebook at {name}://; {hint}") from None
    except (ArgumentError, ValueError):  # its text would quote the URL, and with it a password
        remedy = "write sqlite:////folder/gradebook.db or postgresql+psycopg://user@host/database"
        raise GradebookError(f"the gradebook's URL is not a database URL; {remedy}") from None
    if url.get_driver_name() == "psycopg" and "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": CONNECT_S})
    return url


def shown(url: URL) -> str:
    """The URL for messages: no password, no options."""
    return url.set(query={}).render_as_string(hide_password=True)


def check(db_url: str) -> None:
    """Connect once and change nothing, before hours of grading; GradebookError if that fails."""
    url = parse(db_url)
    if url.get_backend_name() == "sqlite":  # its file and folder are created when needed
        if url.database and (file := Path(url.database)).is_file() and file.open("rb").read(15) not in (b"", MAGIC):
            raise GradebookError(
                f"{file} is not a gradebook, or is damaged; move it away, or choose another with --gradebook"
            )
        return
    engine = create_engine(url)
    try:
        engine.connect().close()
    except DBAPIError as error:
        raise _failed(url, error) from None
    finally:
        engine.dispose()


def must_exist(db_url: str) -> None:
    """GradebookError if the gradebook to read was never written: opening it would create an empty one."""
    url = parse(db_url)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        remedy = "`autograder grade` creates it, or choose another with --gradebook"
        raise GradebookError(f"there is no gradebook {url.database}; {remedy}")


def open_gradebook(db_url: str, course_id: str) -> Gradebook:
    """The gradebook, created if needed. nbgrader needs its folder to exist, and calls `alembic` by its bare name."""
    url = parse(db_url)
    if url.get_backend_name() == "sqlite" and url.database:
        private.close(Path(url.database))  # SQLite gives its journal the same permissions
    beside_python = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    try:
        with patch.dict(os.environ, PATH=beside_python):
            gb = Gradebook(url.render_as_string(hide_password=False), course_id)
    except Exception as error:
        if database_error := of_database(error):
            raise _failed(url, database_error) from None
        raise
    for index in INDEXES:
        with suppress(DBAPIError):  # locked, or not ours to change: without it everything works, only slower
            index.create(gb.engine, checkfirst=True)  # in a gradebook made by nbgrader alone
    return gb


def submission(gb: Gradebook, student: str, assignment: str, **timestamp: Any) -> SubmittedAssignment:
    """The student's submission with a row for every notebook and cell, including those added since the last time."""
    gb.update_or_create_student(student)
    found = gb.update_or_create_submission(assignment, student, **timestamp)
    entries = {entry.notebook_id: entry for entry in found.notebooks}
    for notebook in found.assignment.notebooks:
        if not (entry := entries.get(notebook.id)):
            gb.db.add(entry := SubmittedNotebook(notebook_id=notebook.id, assignment_id=found.id))
            gb.db.flush()
        both = (Grade, entry.grades, notebook.grade_cells), (Comment, entry.comments, notebook.solution_cells)
        for row, rows, cells in both:
            have = {r.cell_id for r in rows}
            gb.db.add_all([row(cell_id=cell.id, notebook_id=entry.id) for cell in cells if cell.id not in have])
    gb.db.flush()
    gb.db.expire_all()
    return found


def _failed(url: URL, error: DBAPIError) -> GradebookError:
    why = reason(error)
    remedy = "start the server, or correct the URL"
    if "does not exist" in why and f'"{url.database}"' in why:
        remedy = f"create it with `createdb {url.database}`"
    elif "permission denied" in why:
        remedy = f"make {url.username or 'the user'} its owner"
    return GradebookError(f"the gradebook {shown(url)} cannot be opened ({why}); {remedy}; {KEPT}")


def lost(db_url: str, error: BaseException, done: int) -> GradebookError | None:
    """What to raise if an error means that the server is gone, not that one record is faulty."""
    url, database_error = make_url(db_url), of_database(error)
    if database_error is None or url.get_backend_name() == "sqlite":
        return None
    if not database_error.connection_invalidated and not isinstance(database_error, OperationalError):
        return None
    what = f"the gradebook {shown(url)} was lost after {done} record(s) ({reason(database_error)})"
    return GradebookError(f"{what}; some scores in it may be old; {KEPT}")


def of_database(error: BaseException | None) -> DBAPIError | None:
    """The database's own error behind one of nbgrader's, which wraps some of them."""
    while error is not None and not isinstance(error, DBAPIError):
        error = error.__cause__ or error.__context__
    return error


def reason(error: BaseException) -> str:
    """An error on one line, without the statement and its values, which are students' names and grades."""
    text = str(getattr(error, "orig", None) or error).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
