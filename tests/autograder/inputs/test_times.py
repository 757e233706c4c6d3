"""When a submission came in: a table, or nbgrader's inbound folders where they can be believed."""

from __future__ import annotations

import datetime
import os
import pwd
from pathlib import Path

import pytest

from autograder.intake import times
from autograder.intake.submissions import Submission

TASK, FILE = "5_2_guidance", "label_dropout.ipynb"
ME = pwd.getpwuid(os.getuid()).pw_name
UTC = datetime.UTC


def table(folder: Path, *rows: str, header: str = "student,assignment,submitted_at,attempt") -> Path:
    file = folder / "times.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return file


def test_the_last_attempt_counts_in_any_zone(tmp_path):
    rows = ["ada,A,2027-01-31T23:59:00+01:00,1", "ada,A,2027-01-31T22:00:00Z,2", "bo,A,2027-01-01 10:00+00:00,"]
    found = times.read(table(tmp_path, *rows, "bo,A,2027-01-01T09:00Z,"))
    day = datetime.datetime(2027, 1, 31, 22, tzinfo=UTC)
    assert found == {("ada", "A"): day, ("bo", "A"): datetime.datetime(2027, 1, 1, 10, tzinfo=UTC)}
    swapped = table(tmp_path, "x;2027-01-31T22:00:00Z;A;ada", header="late;submitted_at;assignment;student")
    assert times.read(swapped) == {("ada", "A"): day}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("ada,A,31.1.2027 23:59,1", "line 2: '31.1.2027 23:59' has no zone; write it as 2027-01-31T23:59:00"),
        ("ada,A,2027-01-31T23:59:00,1", "line 2: .* has no zone"),
        ("ada,A,,1", "line 2: '' is not a time"),
        ("ada,A", "line 2: '' is not a time"),
        ("ada,A,2027-01-31T23:59:00Z,last", "line 2: attempt 'last' is not a whole number"),
        ('ada,A,"2027', "cannot be used"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path, row, says):
    with pytest.raises(ValueError, match=says) as error:
        times.read(table(tmp_path, row))
    assert "\n" not in str(error.value)


def test_a_table_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="there is no column 'submitted_at' among student, assignment"):
        times.read(table(tmp_path, header="student,assignment,time"))
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("pipe.csv", "none.csv", "."):
        with pytest.raises(ValueError, match="cannot be read; write CSV"):
            times.of([], tmp_path, tmp_path / name)
    (tmp_path / "course").mkdir()
    assert times.of([], tmp_path / "course/submitted", None) == {}  # no table is no mistake
    table(tmp_path / "course", "ada,A,2027-01-01T00:00Z,")
    assert [*times.of([], tmp_path / "course/submitted", None)] == [("ada", "A")]


@pytest.fixture
def inbound(tmp_path):
    (tmp_path / "inbound").mkdir()

    def sent(name: str, text: str, ago_s: float = 0.0) -> datetime.datetime:
        when = datetime.datetime.now(UTC) - datetime.timedelta(seconds=ago_s)
        folder = tmp_path / "inbound" / f"{name}+{TASK}+{when:%Y-%m-%d %H:%M:%S.%f} UTC+r4nd"
        folder.mkdir()
        (folder / FILE).write_text(text)
        return when

    sent.folder = tmp_path / "inbound"
    return sent


def graded(tmp_path: Path, student: str, text: str) -> Submission:
    folder = tmp_path / "submitted" / student / TASK
    folder.mkdir(parents=True)
    (folder / FILE).write_text(text)
    (folder / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC")
    return Submission(student, TASK, folder, ("label_dropout",))


def test_nbgraders_record_is_believed_where_the_disk_bears_it_out(tmp_path, inbound):
    first, last = inbound(ME, "one", 600), inbound(ME, "two", 5)
    assert times.exchanged([graded(tmp_path, ME, "one")], inbound.folder)[ME, TASK] == first  # what was collected
    (tmp_path / f"submitted/{ME}/{TASK}/{FILE}").write_text("three")
    again = Submission(ME, TASK, tmp_path / f"submitted/{ME}/{TASK}", ("label_dropout",))
    assert times.exchanged([again], inbound.folder)[ME, TASK] == last
    inbound(ME, "three", 86_400)  # a name from yesterday, made today
    assert times.exchanged([again], inbound.folder) == {}


def test_nobody_names_a_time_for_another(tmp_path, inbound):
    inbound("ada", "one")  # made by somebody else
    (inbound.folder / f"{ME}+{TASK}+tomorrow+x").mkdir()
    (inbound.folder / "odd").mkdir()
    (inbound.folder / f"{ME}+{TASK}").touch()
    both = [graded(tmp_path, "ada", "one"), graded(tmp_path, ME, "one")]
    assert times.exchanged(both, inbound.folder) == {}
    assert times.exchanged(both, tmp_path / "none") == times.exchanged(both, None) == {}
