"""A gradebook that cannot be reached: one sentence, nothing lost, and no password in it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import pytest

from autograder.adapters import database
from autograder.adapters.database import GradebookError
from autograder.cli.main import main
from autograder.release.generate import CONFIG_FILE

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("gradebook.db", "not a database URL"),
        (f"{SECRET}", "not a database URL"),
        (f"postgresql+psycopg2://me:{SECRET}@localhost/x", re.escape("write postgresql+psycopg://")),
        (f"elephant://me:{SECRET}@localhost/x", "no driver .* elephant://"),
        (f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x", "refused.*start the server, or correct the URL"),
    ],
)
def test_a_wrong_url_or_a_server_that_is_down(url: str, says: str):
    for use in (database.check, lambda u: database.open_gradebook(u, "c")):
        with pytest.raises(GradebookError, match=says) as failure:
            use(url)
        assert "\n" not in str(failure.value) and SECRET not in str(failure.value)


def test_a_file_that_is_no_gradebook_stays_as_it_is(tmp_path: Path):
    file = tmp_path / "notes.txt"
    file.write_text("my notes, which are not a database\n" * 50)
    before = file.read_bytes()
    with pytest.raises(GradebookError, match="not a database"):
        database.open_gradebook(f"sqlite:///{file}", "c")
    assert file.read_bytes() == before


LOOKED_UP = ("submitted_assignment.student_id", "submitted_notebook.assignment_id", "grade.notebook_id")


def test_a_students_rows_are_found_without_reading_those_of_the_class(tmp_path: Path):
    file = tmp_path / "gradebook.db"
    for _ in range(2):  # a new one, then one that nbgrader made, without any index
        database.open_gradebook(f"sqlite:///{file}", "c").close()
        with contextlib.closing(sqlite3.connect(file)) as db:
            for column in (*LOOKED_UP, "comment.notebook_id"):
                table = column.partition(".")[0]
                plan = db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {column} = 'x'").fetchall()
                assert plan[0][3].startswith("SEARCH"), plan
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name LIKE 'ix_%'").fetchall():
                db.execute(f"DROP INDEX {name}")


def test_grading_does_not_begin_without_the_gradebook(tmp_path: Path, capsys):
    (tmp_path / "solutions").mkdir()
    url = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x"
    (tmp_path / CONFIG_FILE).write_text(f'c = get_config()\nc.CourseDirectory.db_url = "{url}"\n')
    assert database.in_folder(tmp_path, tmp_path) == url and database.in_folder(tmp_path, tmp_path, "other") == "other"
    with pytest.raises(SystemExit) as end:
        main(["grade", str(tmp_path), "--out", str(tmp_path / "out"), "--course", str(tmp_path)])
    error = capsys.readouterr().err
    assert end.value.code == 2 and "refused" in error and SECRET not in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_database_that_is_missing_or_somebody_elses(postgresql):
    with pytest.raises(GradebookError, match=r"does not exist.*`createdb nobodys`"):
        database.check(postgresql.url("nobodys"))
    postgresql.sql("CREATE ROLE guest LOGIN")
    with pytest.raises(GradebookError, match=r"permission denied.*make guest its owner"):
        database.open_gradebook(postgresql.url("postgres").replace("grader@", "guest@"), "c")


@pytest.mark.parametrize("course", ["postgresql"], indirect=True)
def test_a_database_that_goes_away_in_the_middle_and_comes_back(course, record, postgresql):
    for student in ("ana", "bo"):
        course.submit(student)

    def records():
        yield record("ana")
        postgresql.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'grades'")
        postgresql.sql("ALTER DATABASE grades RENAME TO away")
        yield record("bo")

    with pytest.raises(GradebookError, match=r"was lost after 1 record.*same command") as failure:
        course.write_all(records())
    assert "\n" not in str(failure.value)
    postgresql.sql("ALTER DATABASE away RENAME TO grades")
    assert course.state("ana")["conditioner_checks"] == (10.0, None, False)  # what was written is there
    assert course.write(record("ana"), record("bo")) == []
    assert course.state("bo")["conditioner_checks"] == (10.0, None, False)
