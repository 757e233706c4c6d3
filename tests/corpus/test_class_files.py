"""Every roster, time and name of class_files.py, put to the commands that read it."""

from __future__ import annotations

import csv
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from autograder.adapters import classlist, extensions
from autograder.cli.main import main
from autograder.intake import times
from autograder.intake.moments import moment
from tests.corpus import class_files as corpus
from tests.corpus import submissions
from tests.corpus.class_files import NFC, NFD, PEOPLE
from tests.corpus.submissions import ASKED, ROOT, TASK

INSTANT = datetime(2027, 7, 1, 21, 54, tzinfo=UTC)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def refused(capsys, *words: object) -> str:
    with pytest.raises(SystemExit):
        main([str(w) for w in words])
    error = capsys.readouterr().err.strip().splitlines()
    return error[-1]


@pytest.mark.parametrize("text", corpus.SAME)
def test_one_moment_in_many_words(text):
    assert moment(text) == INSTANT == moment(text, ZoneInfo("Asia/Tokyo"))


@pytest.mark.parametrize("text", corpus.LOCAL)
def test_one_local_time_in_many_words(text):
    assert moment(text, ZoneInfo(corpus.BERLIN)) == INSTANT
    with pytest.raises(ValueError, match="has no zone"):
        moment(text)


def test_an_abbreviation_of_several_places_is_the_given_one_s():
    assert moment("2027-07-01 23:54 IST", ZoneInfo("Asia/Kolkata")) == moment("2027-07-01 23:54+05:30")
    assert moment("2027-07-01 23:54 CST", ZoneInfo("Asia/Shanghai")) == moment("2027-07-01 23:54+08:00")
    assert moment("2027-10-31 02:30 CEST") != moment("2027-10-31 02:30 CET")  # the night of the change


@pytest.mark.parametrize("text", corpus.REFUSED)
def test_what_may_be_another_moment_is_refused_with_the_file_s_name(text, tmp_path, capsys):
    says = corpus.REFUSED[text]
    file = tmp_path / "times.csv"
    file.write_text(f'student,assignment,submitted_at\nada,{TASK},"{text}"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"times\.csv cannot be used: line 2: ") as error:
        times.read(file)
    assert says in str(error.value) and "write it as 2027-01-31T" in str(error.value)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.writestr(f"ada/{TASK}/{ASKED}", "{}")
    words = ("collect", tmp_path / "z.zip", "--format", "zip", "--to", tmp_path / "submitted", "--times", file)
    told = refused(capsys, *words, "--timezone", corpus.BERLIN)
    assert "times.csv" in told and says in told
    (tmp_path / "extensions.csv").write_text(f'student,assignment,due\nada,{TASK},"{text}"\n', encoding="utf-8")
    assert "is not understood" in extensions.beside(tmp_path / "submitted")[1][0].text


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A gradebook with an accent in decomposed form and an address in capitals, of stubs: no child is needed."""
    root = tmp_path_factory.mktemp("class")
    for name in (NFD, "Ada@uni.example"):
        submissions.Case({ASKED: submissions.RELEASED}, 0).write(root / f"submitted/{name}/{TASK}")
    (root / "roster.csv").write_text(f"id,last_name,first_name\n{NFC},Ng,José\nADA@uni.example,Lovelace,Ada\n")
    rows = f'{NFC}\u00a0,{TASK},2027-07-01 23:54:00 CEST\nada@UNI.example,{TASK},"2027-07-01T22:00:00Z"\n'
    (root / "times.csv").write_bytes(f"sep=,\r\nstudent,assignment,submitted_at\r\n{rows}".encode("utf-16"))
    main(["grade", str(root / "submitted"), "--out", str(root / "out"), "--assignment", TASK, "--course", str(ROOT)])
    return root


def test_names_and_times_find_their_folder(graded):
    rows = read(graded / "out/grades.csv")
    assert {r["student"] for r in rows} == {NFD, "Ada@uni.example"} and len(rows) == 6  # nobody is absent
    report = (graded / "out/report.html").read_text(encoding="utf-8")
    assert f"Ng, José ({NFD})" in report and "Lovelace, Ada (Ada@uni.example)" in report
    came = {f.parts[-3]: f.read_text() for f in (graded / "out/autograded").glob("*/*/timestamp.txt")}
    assert came == {NFD: "2027-07-01 21:54:00 UTC\n", "Ada@uni.example": "2027-07-01 22:00:00 UTC\n"}


def exported(graded, tmp_path, form: str, roster: str | bytes, *words: str) -> list[dict[str, str]]:
    file = tmp_path / "class.csv"
    file.write_bytes(roster if isinstance(roster, bytes) else roster.encode())
    to = tmp_path / "grades.csv"
    main(["export", str(graded / "out"), "--course", str(ROOT), "--format", form, "--roster", str(file), *words,
          "--to", str(to)])  # fmt: skip
    return read(to)


def test_canvas_needs_only_its_own_columns_once(graded, tmp_path, capsys):
    rows = exported(graded, tmp_path, "canvas", corpus.CANVAS)
    assert [(r["Student"], r["ID"], r["SIS Login ID"], r["Section"], r["5_2_guidance (77)"]) for r in rows[1:]] == [
        ("Lovelace, Ada", "12", "ada@uni.example", "Mon", "0.0"), ("Ng, José", "11", "josé", "Mon and Tue", "0.0")
    ]  # fmt: skip
    again = corpus.CANVAS.replace("Student,ID", "Student,ID,ID").replace('José",11', 'José",11,11')
    twice = corpus.CANVAS.replace("Final Score", "5_2_guidance (78)")
    for roster, says in ((again, "two columns 'ID'"), (twice, "'5_2_guidance (77)', '5_2_guidance (78)'")):
        (tmp_path / "class.csv").write_text(roster, encoding="utf-8")
        words = ("export", graded / "out", "--course", ROOT, "--format", "canvas", "--roster", tmp_path / "class.csv")
        assert says in refused(capsys, *words)
    (tmp_path / "class.csv").write_text(corpus.CANVAS, encoding="utf-8")
    found = classlist.read(tmp_path / "class.csv")
    assert [(p.id, p.section) for p in found] == [(NFC, "Mon and Tue"), ("ada@uni.example", "Mon")]


@pytest.mark.parametrize("language", corpus.MOODLE)
def test_moodle_in_any_language(language, graded, tmp_path):
    separator = {"de": ";", "fr": "\t"}.get(language, ",")
    text = corpus.moodle(language, separator).replace("Ada@UNI.example", "\u00a0Ada@UNI.example ")
    encoded = text.encode("utf-16" if language == "fr" else "utf-8-sig")
    heading = corpus.MOODLE[language][4]
    for words in ((), ("--key", heading), ("--key", f" {heading.upper()} ")):
        rows = exported(graded, tmp_path, "moodle", encoded, *words)
        found = {r["email"]: (r["username"], r["idnumber"], r[TASK]) for r in rows}
        people = PEOPLE[1:] if words else PEOPLE[:1]  # by user name, josé is there; by address, Ada
        assert found == {p[4]: (p[2], p[3], "0.0") for p in people}
    last, first = ("Lovelace", "Ada") if language != "ja" else ("", "")
    person = next(p for p in classlist.read(tmp_path / "class.csv", heading) if p.id == "Ada@UNI.example")
    assert (person.last_name, person.first_name, person.email) == (last, first, "Ada@UNI.example")


def test_another_column_is_exported_under_its_own_name_and_an_empty_one_is_an_error(graded, tmp_path, capsys):
    text = "Spitzname,Anmeldename,Leer\njosé,1,\nbo,2,\n"
    rows = exported(graded, tmp_path, "moodle", text, "--key", "Spitzname")
    assert [(r["username"], r["Spitzname"], r[TASK]) for r in rows] == [("1", NFC, "0.0")]
    words = ("export", graded / "out", "--course", ROOT, "--format", "moodle", "--roster", tmp_path / "class.csv")
    assert "the column 'Leer' of" in (told := refused(capsys, *words, "--key", "Leer")) and "is empty" in told
    says = "has no column 'Mail'; its columns are 'Spitzname', 'Anmeldename', 'Leer'"
    assert says in refused(capsys, *words, "--key", "Mail")
    assert "is empty" in refused(capsys, "roster", tmp_path / "class.csv", "--key", "Leer")
    (tmp_path / "class.csv").write_bytes("Anmeldename\njosé\n".encode("latin-1"))
    assert "class.csv is not UTF-8 text; save it as CSV in UTF-8" in refused(capsys, *words)


def test_a_row_for_each_section_is_one_person(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("id,email,section\nada,a@b.example,Mon\nada,a@b.example,Tue\nbo,b@b.example,\n")
    assert [(p.id, p.section) for p in classlist.read(file)] == [("ada", "Mon, Tue"), ("bo", "")]
    file.write_text("id,email\nada,a@b.example\nada,other@b.example\n")
    with pytest.raises(ValueError, match="has 'ada' twice"):
        classlist.read(file)


def collected(tmp_path: Path, form: str, names: list[str], roster: str, folder: bool) -> list[str]:
    """Where each file lies afterwards, as `autograder collect` takes the zip or what was unpacked of it."""
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "class.csv").write_text(roster, encoding="utf-8")
    source = tmp_path / ("download" if folder else "download.zip")
    if folder:
        for name in names:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text("{}")
    else:
        with zipfile.ZipFile(source, "w") as file:
            for name in names:
                file.writestr(name, "{}")
    words = ["--assignment", TASK, "--roster", str(tmp_path / "class.csv"), "--to", str(tmp_path / "submitted")]
    main(["collect", str(source), "--format", form, "--timezone", corpus.BERLIN, *words])
    return [
        p.relative_to(tmp_path / "submitted").as_posix() for p in (tmp_path / "submitted").rglob("*") if p.is_file()
    ]


@pytest.mark.parametrize("language", corpus.WORKSHEETS)
def test_downloads_of_moodle(language, tmp_path, capsys):
    sheet = corpus.WORKSHEETS[language].format(corpus.WHEN[language])
    for number, name in enumerate(corpus.MOODLE_FILES.values()):
        place = tmp_path / str(number)
        names = [name, "Ada Lovelace_102_assignsubmission_onlinetext_/onlinetext.html"]
        assert collected(place, "moodle", names, sheet, folder=bool(number % 2)) == [
            f"jose.ng@uni.example/{TASK}/{ASKED}"
        ]
        (row,) = read(place / "times.csv")
        assert (row["student"], row["submitted_at"]) == ("jose.ng@uni.example", "2027-07-01T23:54:00+02:00")
        told = capsys.readouterr()
        assert "late according to Moodle: jose.ng@uni.example" in told.out and "typed into Moodle" in told.err
    (tmp_path / "class.csv").write_text(corpus.WORKSHEETS[language].format("в четверг, 1 июля 2027, 23:54"))
    words = ("collect", tmp_path / "0/download.zip", "--format", "moodle", "--assignment", TASK, "--to", tmp_path / "s")
    told = refused(capsys, *words, "--roster", tmp_path / "class.csv")
    assert "class.csv: 'в четверг, 1 июля 2027, 23:54' is not a time" in told and "set to English" in told
    collected(
        tmp_path / "n", "moodle", [corpus.MOODLE_FILES["group"]], "id,first_name,last_name\njose,José,Ng\n", False
    )
    assert (tmp_path / f"n/submitted/jose/{TASK}/{ASKED}").is_file()  # without numbers, by the name


@pytest.mark.parametrize("folder", [False, True], ids=["zip", "unpacked"])
def test_downloads_of_canvas(folder, tmp_path):
    for number, (name, becomes) in enumerate(corpus.CANVAS_FILES.items()):
        found = collected(tmp_path / str(number), "canvas", [name], corpus.CANVAS, folder)
        assert found == [f"{NFC}/{TASK}/{becomes}"]


def test_a_zip_of_folders_finds_the_roster_in_any_spelling(tmp_path, capsys):
    found = collected(
        tmp_path, "zip", [f"{NFD}/{ASKED}", f"ADA@x.example/{ASKED}"], f"id\n{NFC}\nada@X.example\n", True
    )
    assert sorted(found) == [f"ADA@x.example/{TASK}/{ASKED}", f"{NFC}/{TASK}/{ASKED}"]
    assert "is not in the roster" not in capsys.readouterr().err
    main(["roster", str(tmp_path / "class.csv"), "--submitted", str(tmp_path / "submitted")])
    assert "not in the roster" not in capsys.readouterr().err
