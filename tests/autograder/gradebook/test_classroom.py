"""The class in the gradebook: names for formgrader, extensions for single students, and what the report asks of it."""

from __future__ import annotations

import datetime

import pytest

from autograder.adapters import classlist, classroom, extensions
from autograder.adapters.classlist import Person
from autograder.release.generate import CONFIG_FILE

TASK, NOTEBOOK = "5_3_conditioning", "conditioner"
UTC = datetime.UTC
DUE = datetime.datetime(2026, 1, 31, 12, 0)
CAME = {s: datetime.datetime(2026, 2, 2, 12, 0, 1, tzinfo=UTC) for s in ("ada", "ben", "cy", "di")}


@pytest.fixture
def late_class(course, record):
    """Four who came two days and a second late, where a day costs a tenth of 15 points."""
    with (course.root / CONFIG_FILE).open("a") as file:
        file.write("\nc.LatePolicy.per_day = 0.1\n")
    for student in CAME:
        course.submit(student)
    records = [record(s) for s in CAME]
    folders = course.root / "solutions", course.root / "submitted", course.out / "autograded"
    from autograder.adapters.gradebook import write_gradebook

    write_gradebook(course.db, records, *folders, {(s, TASK): when for s, when in CAME.items()})
    with course.book() as gb:
        gb.update_or_create_assignment(TASK, duedate=DUE)
        gb.db.commit()
    return course


def enter(course, people=()):
    more, problems = extensions.beside(course.root / "submitted")
    notes, others = classroom.enter(course.db, course.root, more, {p.id: p for p in people})
    return notes, problems + others


def penalties(course):
    with course.book() as gb:
        return {s.student.id: s.late_submission_penalty for s in gb.find_assignment(TASK).submissions}


def test_extensions_and_what_is_late(late_class):
    course, file = late_class, late_class.root / extensions.FILE
    enter(course)
    assert penalties(course) == pytest.approx(dict.fromkeys(CAME, 4.5))
    file.write_text(
        "student,assignment,extra,due\n"
        f"ada,{TASK},1 day 12 h,\n"  # 12 hours and a second are left: a day
        f"ben,{TASK},,2026-02-02T13:30:00+01:00\n"  # until half past twelve in UTC
        f"cy,{TASK},soon,\n"
        f"di,{TASK},,2026-02-09 12:00\n"  # where?
        f"zoe,{TASK},2 days,\nada,5_9,2 days,\n"
    )
    notes, problems = enter(course)
    assert penalties(course) == pytest.approx({"ada": 1.5, "ben": 0.0, "cy": 4.5, "di": 4.5})
    assert {(x.student, x.seconds, x.penalty, x.extension) for x in notes.late} == {
        ("ada", 43_201, 1.5, 129_600), ("cy", 172_801, 4.5, 0), ("di", 172_801, 4.5, 0),
    }  # fmt: skip
    assert [(p.student, p.where) for p in problems] == [("cy", TASK), ("di", TASK), ("ada", "5_9")]
    assert all("write 2 days, or 2027-02-02T23:59+01:00" in p.text for p in problems[:2])
    file.write_text(f"student,assignment,extra\nada,{TASK},0 days\n")  # taken back
    enter(course)
    assert penalties(course)["ada"] == pytest.approx(4.5)
    file.write_text("who,what\nada,1\n")
    with pytest.raises(ValueError, match="needs the columns student, assignment, and extra or due"):
        enter(course)


def test_names_marks_and_flags(late_class):
    course = late_class
    people = [Person("ada", "Lovelace", "Ada", "a@b"), Person("zoe", "Brandt", "Zoë"), Person("ben")]
    course.mark("ben", 3.0)
    with course.book() as gb:
        gb.find_submission_notebook(NOTEBOOK, TASK, "cy").flagged = True
        gb.db.commit()
    notes, problems = enter(course, people)
    assert problems == [] and notes.who("ada") == "Lovelace, Ada (ada)" and notes.who("ben") == "ben"
    assert {s for s, *_ in notes.to_mark} == {"ada", "cy", "di"} and notes.flagged == (("cy", TASK, NOTEBOOK),)
    with course.book() as gb:
        found = {s.id: (s.last_name, s.first_name, s.email) for s in gb.students}
        assert found["ada"] == ("Lovelace", "Ada", "a@b") and found["zoe"] == ("Brandt", "Zoë", None)
        gb.update_or_create_student("ben", last_name="Ng")  # by hand, where the list knows nothing
    enter(course, people)
    with course.book() as gb:
        assert gb.find_student("ben").last_name == "Ng"


@pytest.mark.parametrize(
    ("text", "hours"),
    [("2", 48), ("2 days", 48), ("1.5d", 36), ("36 h", 36), ("1 week, 2 hours 30 min", 170.5), ("0 days", 0),
     ("", None), ("soon", None), ("2 fortnights", None), ("-1 day", None), ("2 days x", None), ("9" * 400, None)],
)  # fmt: skip
def test_spans(tmp_path, text, hours):
    (tmp_path / "e.csv").write_text(f"student,assignment,extra\nada,{TASK},{text!r}\n".replace("'", '"'))
    given, problems = extensions.read(tmp_path / "e.csv")
    if hours is None:
        assert not given and len(problems) == 1
    else:
        assert given["ada", TASK] == datetime.timedelta(hours=hours) and not problems
    assert classlist.beside(tmp_path / "submitted") == {}
