"""`autograder export`: rows of questions, and what Canvas and Moodle import."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from autograder.adapters import lms, roster
from autograder.adapters.lms import Totals
from autograder.adapters.roster import Roster
from autograder.adapters.table import csv_text, harmless
from autograder.cli.main import main

TASK, NOTEBOOK = "5_3_conditioning", "conditioner"
CHECKS, GATE, WRITTEN = "conditioner_checks", "conditioner_gate", "conditioner_written"
TOTALS = Totals({TASK: 25.0, "other": 4.0}, {"ana": {TASK: 15.5}, "bo": {TASK: None, "other": 4.0}}, {}, frozenset())


def table(path: Path) -> list[list[str]]:
    return list(csv.reader(path.open(encoding="utf-8", newline="")))


@pytest.fixture
def graded(course, record):
    """Three submissions with their records in OUT: marked, failed by our fault, and not to be marked."""
    failed = record("bo", None, None, "infrastructure_error")
    message = "=HYPERLINK('x')\nsecond line"
    wrong = record("cy", 0.0, 0.0, "crash")
    wrong["tests"][0] |= {"name": "conditioner: the output depends on the label", "output": message}
    hidden = {
        "name": "conditioner: the output is finite",
        "status": "failed",
        "output": "hidden",
        "visibility": "hidden",
    }
    wrong["tests"].append(hidden)
    for rec, answer in ((record("ana"), "an answer"), (failed, "an answer"), (wrong, "YOUR ANSWER HERE")):
        student = rec["extra_data"]["student"]
        course.submit(student, answer)
        assert course.write(rec) == []
        folder = course.out / student / TASK
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(rec))
        (folder / "instructor.json").write_text(json.dumps({"seed": 8_765_432_109}))
    course.mark("ana", 4.0)
    with course.book() as gb:
        gb.update_or_create_student("dee", first_name="Dee", last_name="=cmd|' /C calc'!A0")
        gb.update_or_create_student("ana", first_name="Ana", last_name="Ng")
    return course


def export(course, *options: str) -> None:
    main(["export", str(course.out), "--course", str(course.root), *options])


def test_a_row_for_every_student_and_question(graded, capsys):
    export(graded, "--format", "questions")
    header, *rows = table(graded.out / "questions.csv")
    assert header == ["student", "assignment", "notebook", "question", "points", "max_points", "outcome", "message"]
    found = {(r[0], r[3]): r for r in rows}
    assert set(found) == {(s, q) for s in ("ana", "bo", "cy", "dee") for q in (CHECKS, GATE, WRITTEN)}
    assert [r[3] for r in rows[:3]] == [CHECKS, GATE, WRITTEN]  # as in the notebook
    assert found["ana", WRITTEN][4:] == ["4.0", "5.0", "graded", "nicely put"]
    assert found["ana", GATE][4:] == ["5.0", "10.0", "graded", ""]
    assert found["bo", CHECKS][4:] == ["", "10.0", "infrastructure_error", ""]  # no score is no zero
    assert found["cy", CHECKS][4] == "0.0" and "depends on the label: =HYPERLINK" in found["cy", CHECKS][7]
    assert found["dee", GATE][4:] == ["0.0", "10.0", "missing", "nothing was handed in"]
    raw = {s: row["raw_score"] for s, row in graded.exported().items()}  # nbgrader's own sums
    for student in ("ana", "cy"):
        assert sum(float(r[4]) for r in rows if r[0] == student) == float(raw[student])
    text = (graded.out / "questions.csv").read_text()
    assert "8765432109" not in text and "hidden" not in text
    assert "1 submission(s) have no score yet, since grades are missing for conditioner: " in capsys.readouterr().err


def test_canvas_and_moodle_from_the_gradebook(graded, capsys):
    export(graded, "--format", "canvas")
    assert table(graded.out / "canvas.csv") == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", TASK],
        ["    Points Possible", "", "", "", "", "25.0"],
        ["Ng, Ana", "", "", "ana", "", "19.0"],
        ["cy", "", "", "cy", "", "0.0"],
    ]
    people = graded.root / "participants.csv"
    people.write_text("First name,Email address,ID number\nAna,ana@example.edu,00ana\nCy,cy@example.edu,cy\n")
    to = graded.root / "new" / "m.csv"
    export(graded, "--format", "moodle", "--roster", str(people), "--to", str(to))
    assert table(to) == [["username", "idnumber", "email", TASK], ["", "cy", "cy@example.edu", "0.0"]]
    assert "left out: ana, bo" in capsys.readouterr().err
    for options, says in (
        (["--format", "canvas", "--assignment", "5_9"], "no assignment '5_9'"),
        (["--format", "canvas", "--gradebook", f"sqlite:///{graded.root}/nowhere.db"], "there is no gradebook"),
        (["--format", "questions", "--roster", str(people)], "--roster goes with"),
        (["--format", "moodle", "--roster", str(graded.root / "none.csv")], "cannot be read: No such file"),
    ):
        with pytest.raises(SystemExit):
            export(graded, *options)
        assert says in (error := capsys.readouterr().err) and error.count("\n") == 1
    assert not (graded.root / "nowhere.db").exists()


def test_canvas_finds_people_and_assignments_by_its_own_ids():
    """What lib/gradebook_importer.rb of Canvas reads: columns by place, "Title (ID)", points in the second row."""
    row = {"Student": "Ng, Ana", "ID": "11", "SIS User ID": "s1", "SIS Login ID": "ana", "Section": "A 1"}
    columns = (*row, "Quiz (3)", f"{TASK} (77)", f"{TASK} again (78)")
    header, points, *people = lms.canvas(TOTALS, Roster({"ana": row}, columns, ("bo",)))
    assert header[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert header[5:] == [f"{TASK} (77)", "other"] and points[5:] == [25.0, 4.0] and "Points Possible" in points[0]
    assert people == [["Ng, Ana", "11", "s1", "ana", "A 1", 15.5, ""]]


def test_moodle_knows_no_empty_grade():
    assert lms.moodle(TOTALS, None) == [
        ["username", "idnumber", "email", TASK, "other"],
        ["ana", "", "", 15.5, "-"],
        ["bo", "", "", "-", 4.0],
    ]


def test_no_cell_is_a_formula(graded):
    people = graded.root / "canvas_export.csv"
    rows = ["Student;ID;SIS User ID;SIS Login ID;Section", "    Points Possible;;;;", "=1+1;+2;@x;ana;-A", "Bo;3;;bo;B"]
    people.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode())  # as a German Excel saves it
    export(graded, "--format", "canvas", "--roster", str(people))
    assert table(graded.out / "canvas.csv")[2][:5] == ["'=1+1", "'+2", "'@x", "ana", "'-A"]
    for name in ("canvas.csv", "questions.csv"):
        export(graded, "--format", "questions")
        for line in table(graded.out / name):
            assert not [c for c in line if c.startswith(("=", "+", "@", "\t", "\r")) or (c[:1] == "-" and c != "-")]


FORMULAS = (  # what a spreadsheet, or what normalises text on its way to one, may run
    *("=1+1", "+1", "-1+2", "@SUM(A1)", " =1", "\u00a0=1", "\t=1", "\r=1", "\n=1", "\tx ", "\ufeff=1", "\u200b=1"),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM", "\ufe66=1", "\ufe62x", "\ufe63x", "\ufe6bx", "\u207b1"),
    *("\u208b1", "\u207a1", "\u22121", "\ufb29x", "\u2060=1", "\u00ad=1", "\u3164=1", "\u2800=1", "\ufe0f=1"),
    *("\u0301=1", "\u202e=1", '"=1', "'=1", "`=1", "\x00=1", "\u2003\uff1d1"),
)
HARMLESS = (
    *("", "-", "\u2010", "\u2013", "\u2212", "ada", "O'Brien", "'t Hooft", "Ng, Ana", "2026-01-31", "a=b", "0.5"),
    *("\u00e9", "x-y", "\u05d0"),
)


def test_whatever_could_be_a_formula_is_text(tmp_path: Path):
    for cell in FORMULAS:
        assert harmless(cell) == f"'{cell}", ascii(cell)
    for cell in HARMLESS:
        assert harmless(cell) == cell, ascii(cell)
    text = csv_text([["a", "b;=1", "c\t=1", 1.5, None]])
    assert (
        text == '"a","b;=1","c\t=1",1.5,""\n'
    )  # in quotes, or a list separator of another kind would make a cell of it


def test_nbgraders_own_export_has_no_formula_either(graded):
    with graded.book() as gb:
        gb.update_or_create_student("dee", last_name="\uff1dcmd", first_name="@x", email="=1+1")
    row = graded.exported()["dee"]
    assert (row["last_name"], row["first_name"], row["email"]) == ("'\uff1dcmd", "'@x", "'=1+1")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("username,name\nana,José\n".encode("latin-1"), "not UTF-8 text; save it as CSV in UTF-8"),
        (b"name,grade\nana,3\n", "needs a column username, id number, email address, but has 'name', 'grade'"),
        (b"username\nzoe\n", "none of the 2 graded students is in the column 'username'.*--key"),
        (b"username,email\nana,a@b\nana,c@d\n", "has 'ana' twice in its column 'username' .line 3"),
        (b"username,username\nana,ana\n", "two columns 'username'"),
        (b'username,email\n"ana,a@b\n' + b"x" * 200_000, "is not CSV|none of the 2"),
    ],
)
def test_a_bad_roster_is_one_sentence(tmp_path: Path, content: bytes, says: str):
    file = tmp_path / "roster.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=says) as error:
        roster.read(file, lms.MOODLE, TOTALS.scores)
    assert "\n" not in str(error.value)


def test_a_roster_matches_by_the_column_that_fits_or_is_named(tmp_path: Path):
    file = tmp_path / "roster.csv"
    file.write_text("username,ID number,nick\n1,ana,bo\n2,bo,eve\n3,zoe\n")
    found = roster.read(file, lms.MOODLE, ["ana", "bo", "cy"])
    assert {s: p["username"] for s, p in found.people.items()} == {"ana": "1", "bo": "2"} and found.absent == ("cy",)
    assert [*roster.read(file, lms.MOODLE, ["ana", "bo"], key="nick").people] == ["bo"]
    with pytest.raises(ValueError, match="no column 'login'; its columns are 'username', 'ID number', 'nick'"):
        roster.read(file, lms.MOODLE, ["ana"], key="login")
