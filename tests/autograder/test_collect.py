"""`autograder collect`: what Canvas, Moodle and people zip, hostile zips among them, becomes submitted/."""

import csv
import io
import re
import shlex
import stat
import warnings
import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from autograder.adapters import classlist
from autograder.adapters.collect import collect
from autograder.adapters.collect.source import Source
from autograder.cli.main import main, parser
from autograder.intake.archive import MAX_BYTES

TASK = "5_2_guidance"
LINK, PIPE = (kind << 16 for kind in (stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o600))


def packed(path, files):
    """A zip of (name, content) pairs; a ZipInfo in place of a name says more."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        warnings.simplefilter("ignore")  # names that occur twice
        for name, content in files:
            file.writestr(name, content)
    return path


def entry(name, attributes=0, **fields):
    info = zipfile.ZipInfo(name, (2027, 1, 31, 12, 0, 0))
    info.create_system, info.external_attr = 3, attributes
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def rows(path):
    return list(csv.DictReader(path.open(encoding="utf-8", newline="")))


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


CANVAS_ROSTER = """Student,ID,SIS User ID,SIS Login ID,Section,ema (77)
    Points Possible,,,,,10
"Lovelace, Ada",12345,s1,ada@uni.example,Mon,
"Ng, Ben",12346,s2,ben,Tue,
"Cy, Bo",12347,s3,bo,Tue,
"Student, Test",99,,,Mon,
"""
CANVAS = [
    ("lovelaceada_LATE_12345_67890_ema.ipynb", "first"),
    ("lovelaceada_LATE_12345_67999_ema-1.ipynb", "second"),
    ("lovelaceada_LATE_12345_67891_label_dropout.ipynb", "labels"),
    ("ngben_12346_70000_Homework 2.ipynb", "misnamed"),
    ("ngben_12346_70001_photo.png", "a photo"),
    ("ngben_12346_text.html", "typed"),
    ("cybo_12347_70002_ema (1).ipynb", "from the browser"),
    ("README.txt", "?"),
]


def test_canvas(tmp_path):
    roster = tmp_path / "export.csv"
    roster.write_text(CANVAS_ROSTER)
    file = packed(tmp_path / "submissions.zip", CANVAS)
    done = collect(file, Source("canvas", TASK, roster), tmp_path / "submitted")
    assert tree(tmp_path / "submitted") == {
        f"ada@uni.example/{TASK}/ema.ipynb": "second",
        f"ada@uni.example/{TASK}/label_dropout.ipynb": "labels",
        f"ben/{TASK}/Homework 2.ipynb": "misnamed",  # the grader says what it should be called
        f"bo/{TASK}/ema.ipynb": "from the browser",
    }
    assert tree(tmp_path / "set_aside") == {
        f"ada@uni.example/{TASK}/ema.ipynb": "first",
        f"ben/{TASK}/photo.png": "a photo",
    }
    said = "\n".join(done.problems)
    for words in (
        "'ema.ipynb' is set aside: an earlier attempt; 'ema-1.ipynb' counts",
        "'README.txt' does not have a name that",
    ):
        assert words in said
    assert "ben handed in 'Homework 2.ipynb', which is not one of label_dropout.ipynb, guided_sampling" in said
    assert "'ngben_12346_text.html' was typed into Canvas" in said and "photo.png" in said
    assert done.late == {"ada@uni.example"} and done.untimed == {"ada@uni.example", "ben", "bo"}
    assert rows(tmp_path / "times.csv") == []  # Canvas does not say when
    assert rows(tmp_path / "roster.csv")[1] == {
        **{"id": "ada@uni.example", "last_name": "Lovelace", "first_name": "Ada"},
        **{"email": "", "section": "Mon"},
    }
    file.rename(tmp_path.with_suffix(".zip"))
    file, before = tmp_path.with_suffix(".zip"), tree(tmp_path)
    again = collect(file, Source("canvas", TASK, roster), tmp_path / "submitted")
    assert tree(tmp_path) == before and again.notebooks == 3  # the same download changes nothing


def test_a_newer_download_replaces_and_an_older_one_does_not(tmp_path):
    def take(name, content, times=None):
        file = packed(tmp_path / "x.zip", [(name, content)])
        return collect(file, Source("canvas", TASK, times=times), tmp_path / "submitted")

    times = tmp_path / "t.csv"
    times.write_text("student,submitted_at\n7,2027-01-31 12:00 +0100\n")
    take("a_7_100_ema.ipynb", "one", times)
    time = {"student": "7", "assignment": TASK, "submitted_at": "2027-01-31T12:00:00+01:00", "attempt": "1"}
    assert rows(tmp_path / "times.csv") == [time]
    take("a_7_100_ema.ipynb", "one")
    assert rows(tmp_path / "times.csv") == [time]  # the same file keeps its time
    done = take("a_LATE_7_200_ema-1.ipynb", "two")
    assert tree(tmp_path / "submitted") == {f"7/{TASK}/ema.ipynb": "two"} and done.late == {"7"}
    assert tree(tmp_path / "set_aside") == {f"7/{TASK}/ema.ipynb": "one"}
    assert rows(tmp_path / "times.csv") == []  # nobody knows when this one came
    done = take("a_7_150_ema.ipynb", "between")
    assert tree(tmp_path / "submitted") == {f"7/{TASK}/ema.ipynb": "two"}
    assert "an older download; the newer file stays" in done.problems[0]
    assert set(tree(tmp_path / "set_aside").values()) == {"one", "between"}


def test_a_roster_that_comes_later_makes_nobody_two(tmp_path):
    file = packed(tmp_path / "s.zip", CANVAS)
    collect(file, Source("canvas", TASK), tmp_path / "submitted")
    assert {r["student"] for r in rows(tmp_path / "collected.csv")} == {"12345", "12347"}
    (tmp_path / "export.csv").write_text(CANVAS_ROSTER)
    done = collect(file, Source("canvas", TASK, tmp_path / "export.csv"), tmp_path / "submitted")
    assert {r["student"] for r in rows(tmp_path / "collected.csv")} == {"ada@uni.example", "bo"}  # one page each
    assert any(p.startswith("ada@uni.example was collected as 12345 before; remove ") for p in done.problems)


WORKSHEET = (
    "\ufeffIdentifier,Full name,ID number,Email address,Status,Grade,Last modified (submission),Last modified (grade)\n"
    'Participant 101,Ada Lovelace,,ada@uni.example,Submitted for grading - ,,"Sunday, 31 January 2027, 11:59 PM",-\n'
    'Participant 102,José Ng,,jose@uni.example,Submitted for grading - 2 days 1 hour late,,"1 August 2027, 09:05",-\n'
    "Participant 103,Ada Lovelace,,ada2@uni.example,Submitted for grading - ,,-,-\n"
    "Participant 104,Eve Ill,,eve@uni.example,No submission,,-,-\n"
)


@pytest.mark.parametrize("folders", ["4.1", "3.1", "flat"])
def test_moodle(tmp_path, folders):
    end = {"4.1": "/", "3.1": "_/", "flat": "_"}[folders]
    names = [f"{who}_assignsubmission_file{end}{file}" for who, file in (
        ("Ada Lovelace_101", "ema.ipynb"), ("José Ng_102", "ema.ipynb"), ("José Ng_102", "ema-Copy1.ipynb"),
        ("Ada Lovelace_103", "ema.ipynb"))]  # fmt: skip
    files = [(name, name) for name in names] + [("Ada Lovelace_101_assignsubmission_onlinetext_/onlinetext.html", "hi")]
    sheet = tmp_path / "worksheet.csv"
    sheet.write_text(WORKSHEET)
    file = packed(tmp_path / "m.zip", files)
    done = collect(file, Source("moodle", TASK, sheet, zone=ZoneInfo("Europe/Berlin")), tmp_path / "submitted")
    assert tree(tmp_path / "submitted") == {
        f"ada@uni.example/{TASK}/ema.ipynb": names[0],
        f"jose@uni.example/{TASK}/ema.ipynb": names[1],
        f"ada2@uni.example/{TASK}/ema.ipynb": names[3],
    }
    assert tree(tmp_path / "set_aside") == {f"jose@uni.example/{TASK}/ema-Copy1.ipynb": names[2]}
    assert done.late == {"jose@uni.example"} and done.untimed == {"ada2@uni.example"}
    assert {r["student"]: r["submitted_at"] for r in rows(tmp_path / "times.csv")} == {
        "ada@uni.example": "2027-01-31T23:59:00+01:00",
        "jose@uni.example": "2027-08-01T09:05:00+02:00",  # summer
    }
    assert "typed into Moodle" in "\n".join(done.problems)
    assert [p["first_name"] for p in rows(tmp_path / "roster.csv")] == ["Eve", "Ada", "Ada", "José"]


def test_moodle_without_a_worksheet_never_takes_namesakes_for_one(tmp_path):
    names = [f"{who}_assignsubmission_file_/ema.ipynb" for who in ("Ada Lovelace_101", "Ada Lovelace_103", "O/B, Al_7")]
    names[2] = names[2].replace("/B", "'B")
    collect(packed(tmp_path / "m.zip", [(n, n) for n in names]), Source("moodle", TASK), tmp_path / "submitted")
    assert tree(tmp_path / "submitted") == {
        f"Ada Lovelace (101)/{TASK}/ema.ipynb": names[0],
        f"Ada Lovelace (103)/{TASK}/ema.ipynb": names[1],
        f"O'B Al/{TASK}/ema.ipynb": names[2],
    }


@pytest.mark.parametrize("around", ["", "class 1/"])
def test_a_plain_zip(tmp_path, around):
    files = [
        (f"{around}ada/{TASK}/ema.ipynb", "ada's"),
        (f"{around}ben/ema.ipynb", "ben's"),  # no assignment: the notebook's name says it
        (f"{around}ben/conditioner.ipynb", "of another"),
        (f"{around}cy/unknown.ipynb", "of none"),
        (f"{around}ada/{TASK}/.ipynb_checkpoints/ema.ipynb", "junk"),
        (f"__MACOSX/{around}ada/{TASK}/._ema.ipynb", "junk"),
        (f"{around}.DS_Store", "junk"),
    ]
    done = collect(packed(tmp_path / "z.zip", files), Source("zip"), tmp_path / "submitted")
    assert tree(tmp_path / "submitted") == {
        f"ada/{TASK}/ema.ipynb": "ada's",
        f"ben/{TASK}/ema.ipynb": "ben's",
        "ben/5_3_conditioning/conditioner.ipynb": "of another",
    }
    assert tree(tmp_path / "set_aside") == {"cy/unknown.ipynb": "of none"} and len(done.problems) == 1
    assert rows(tmp_path / "times.csv") == []
    source = Source("zip", times="entries", zone=ZoneInfo("UTC"))
    timed = [(entry(f"{around}ada/{TASK}/ema.ipynb"), "ada's")]
    collect(packed(tmp_path / "z.zip", timed), source, tmp_path / "submitted")
    assert rows(tmp_path / "times.csv")[0]["submitted_at"] == "2027-01-31T12:00:00+00:00"


def test_a_hostile_zip_costs_nobody_anything(tmp_path):
    good = [("ada/5_2_guidance/ema.ipynb", "good"), ("zoe/5_2_guidance/ema.ipynb", "good too")]
    bad = {
        "../evil/ema.ipynb": "leads out of the archive",
        "/etc/cron.d/ema.ipynb": "leads out of the archive",
        "C:/Windows/ema.ipynb": "leads out of the archive",
        "ada\\..\\..\\evil\\ema.ipynb": "leads out of the archive",
        f"{'x' * 201}/ema.ipynb": "more than 200 bytes",
        "new\nline/ema.ipynb": "control characters",
        "tab\there/ema.ipynb": "control characters",
        "a/b/c/d/ema.ipynb": "is not in STUDENT/",
        "lonely.ipynb": "is not in STUDENT/",
    }
    files = [good[0], *((name, "evil") for name in bad)]
    files += [(entry("link/ema.ipynb", LINK), "/etc/passwd"), (entry("pipe/ema.ipynb", PIPE), "")]
    files += [("bomb/ema.ipynb", b"\0" * (MAX_BYTES + 1)), ("ADA/ema.ipynb", "another's"), ("ﬀ/ema.ipynb", "1")]
    files += [("ff/ema.ipynb", "2"), ("twice/ema.ipynb", "first"), ("twice/ema.ipynb", "last")]
    files += [
        ("twice/EMA.ipynb", "shouted"),
        ("broken/ema.ipynb", "B" * 100),
        ("Jos\u0065\u0301/ema.ipynb", "NFD"),
        good[1],
    ]
    raw = bytearray(packed(tmp_path / "z.zip", files).read_bytes())
    at = raw.index(b"broken/ema.ipynb") + len("broken/ema.ipynb")
    raw[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "z.zip").write_bytes(raw)
    done = collect(tmp_path / "z.zip", Source("zip", TASK), tmp_path / "course" / "submitted")
    found = {k.partition("/")[0]: v for k, v in tree(tmp_path / "course" / "submitted").items()}
    assert found == {"ada": "good", "ﬀ": "1", "twice": "last", "José": "NFD", "zoe": "good too"}
    assert set(tree(tmp_path / "course" / "set_aside").values()) == {"first", "shouted"}
    said = "\n".join(done.problems)
    for name, why in bad.items():
        shown = name.replace("\n", "�").replace("\t", "�").replace("\\", "/")
        assert any(shown[:60] in p and why in p for p in done.problems), name
    for words in ("is a link", "is a pipe", "larger than 64 MB", "is damaged", "the same name on some disks"):
        assert words in said
    assert all("\n" not in p for p in done.problems) and "shouted" not in said
    assert {p.name for p in tmp_path.iterdir()} == {"z.zip", "course"}


def test_names_in_other_letters(tmp_path):
    """Zips of Windows and of old Moodles hold UTF-8 without saying so, and DOS letters where they mean them."""
    for name, flagged in (("Zoë", False), ("Zoë", True), ("李雷", False)):
        with zipfile.ZipFile(tmp_path / "z.zip", "w") as file:
            file.writestr(entry("placeholder"), "x")
        made = io.BytesIO()
        info = entry(f"{name}/ema.ipynb")
        with zipfile.ZipFile(made, "w") as file:
            file.writestr(info, "x")
        raw = made.getvalue()
        if not flagged:  # the flag stands in the local header and in the central one
            for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
                at = raw.index(mark) + offset
                flags = int.from_bytes(raw[at : at + 2], "little") & ~0x800
                raw = raw[:at] + flags.to_bytes(2, "little") + raw[at + 2 :]
        (tmp_path / "z.zip").write_bytes(raw)
        collect(tmp_path / "z.zip", Source("zip"), tmp_path / name / str(flagged))
        assert [p.name for p in (tmp_path / name / str(flagged)).iterdir()] == [name]


def test_links_among_the_submissions_are_not_followed(tmp_path):
    (tmp_path / "submitted").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "submitted" / "ada").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "submitted" / "ben" / TASK).mkdir(parents=True)
    (tmp_path / "submitted" / "ben" / TASK / "ema.ipynb").symlink_to(tmp_path / "secret")
    file = packed(tmp_path / "z.zip", [("ada/ema.ipynb", "x"), ("ben/ema.ipynb", "y"), ("cy/ema.ipynb", "z")])
    done = collect(file, Source("zip"), tmp_path / "submitted")
    assert not list((tmp_path / "elsewhere").iterdir()) and not (tmp_path / "secret").exists()
    assert len(done.problems) == 2 and done.students == {"ben", "cy"}


@pytest.mark.parametrize(
    ("content", "words", "says"),
    [
        (None, (), "there is no file"),
        (b"PK\x03\x04 no zip", (), "is not a zip, or is damaged"),
        ([], (), "it has no files"),
        ([("a/ema.ipynb", "x")], ("--format", "canvas"), "which assignment it is; give it with --assignment"),
        (
            [("a/ema.ipynb", "x")],
            ("--format", "canvas", "--assignment", TASK),
            "has no submissions in the format canvas",
        ),
        *(
            ([("Ada Lovelace_1_assignsubmission_file/ema.ipynb", "x")], words, "Moodle names them: use --format moodle")
            for words in (("--format", "canvas", "--assignment", TASK), ("--assignment", TASK))
        ),
        ([("a/ema.ipynb", "x")], ("--assignment", "9_9"), "unknown assignment '9_9'; known: 5_1"),
        ([("a/ema.ipynb", "x")], ("--timezone", "Mars/Base"), "no time zone 'Mars/Base'; write one like Europe/Berlin"),
        ([("a/ema.ipynb", "x")], ("--times", "none.csv"), "none.csv cannot be read"),
        ([("a/ema.ipynb", "x")], ("--roster", "none.csv"), "none.csv cannot be read"),
    ],
)
def test_what_cannot_be_collected_is_one_sentence(tmp_path, capsys, content, words, says):
    file = tmp_path / "z.zip"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        packed(file, content)
    more = [] if "--format" in words else ["--format", "zip"]
    with pytest.raises(SystemExit):
        main(["collect", str(file), "--to", str(tmp_path / "submitted"), *more, *words])
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "submitted").exists()


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("id,first_name,last_name,email,section\nada,Ada,Lovelace,a@b,Mon\n", [("ada", "Lovelace, Ada", "a@b", "Mon")]),
        ("Username;First name;Last name\nben;Ben;Ng\n", [("ben", "Ng, Ben", "", "")]),
        (CANVAS_ROSTER, [("ada@uni.example", "Lovelace, Ada", "", "Mon"), ("ben", "Ng, Ben", "", "Tue"),
                         ("bo", "Cy, Bo", "", "Tue")]),
        ("id,email\n'=x,a@b\n../../etc,c@d\n", [("x", "", "a@b", ""), ("etc", "", "c@d", "")]),
    ],
)  # fmt: skip
def test_a_class_from_any_list(tmp_path, text, people):
    (tmp_path / "list.csv").write_text(text)
    found = classlist.read(tmp_path / "list.csv")
    assert [(p.id, p.name, p.email, p.section) for p in found] == people
    classlist.save(found, tmp_path / "submitted")
    assert {p.id for p in classlist.beside(tmp_path / "submitted").values()} == {p[0] for p in people}


def test_the_commands_say_what_they_did(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packed(tmp_path / "s.zip", CANVAS)
    (tmp_path / "export.csv").write_text(CANVAS_ROSTER)
    main(["collect", "s.zip", "--format", "canvas", "--assignment", TASK, "--roster", "export.csv"])
    told = capsys.readouterr()
    assert "3 notebook(s) of 3 student(s) in submitted" in told.out and "Canvas: ada@uni.example" in told.out
    assert "3 student(s) have no submission time" in told.out and "kept in set_aside" in told.out
    assert len(told.err.splitlines()) == 5
    (tmp_path / "list.csv").write_text("id,section\nada@uni.example,1\nben,1\n")
    main(["roster", "list.csv"])
    told = capsys.readouterr()
    assert told.out == "2 people in 1 section(s); roster.csv\n"
    assert told.err == "in submitted but not in the roster: bo\n"


def test_the_page_s_commands_are_commands():
    page = (Path(__file__).resolve().parents[2] / "docs/class.md").read_text(encoding="utf-8")
    lines = re.search(r"```sh\n(.*?)```", page, re.S)[1].strip().splitlines()
    assert [parser().parse_args(shlex.split(line)[1:]).command for line in lines] == [
        *("collect", "grade", "export", "return"),
    ]
    table = re.search(r"```text\n(.*?)```", page, re.S)[1]
    assert table.startswith("student,assignment,extra,due\n") and len(table.splitlines()) == 3
