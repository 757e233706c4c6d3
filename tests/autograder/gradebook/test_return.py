"""`autograder return`: each page goes to whose it is, by the LMS's own way of telling, and to nobody else."""

from __future__ import annotations

import json
import re
import shutil
import zipfile

import pytest

from autograder.adapters.collect import collect, giving_back
from autograder.adapters.collect.source import Source
from autograder.cli.main import main

TASK, FILE = "5_3_conditioning", "conditioner.ipynb"
# Names that try to be another's: with their numbers, with what the LMS puts between, and with marks of paths.
PEOPLE = {101: "ada", 102: "ada_101_5", 103: "ben_LATE", 104: "Zoë", 105: "assignsubmission"}


def canvas_reads(name):
    """As Assignment#infer_comment_context_from_filename does: the first two numbers between underscores."""
    numbers = [part for part in name.rpartition("/")[2].split("_") if re.fullmatch(r"[0-9]+", part)]
    return int(numbers[0]), int(numbers[1])


def moodle_reads(name):
    """As assignfeedback_file_zip_importer does: the first part of the path with a number second and a known plugin."""
    for part in name.split("/"):
        info = part.split("_", 4)
        if len(info) >= 4 and info[1].isdigit() and (info[2], info[3]) == ("assignsubmission", "file"):
            return int(info[1])
    return None


def handed_in(course, number):
    """A notebook whose written answer says whose it is."""
    path = course.submit("x", f"this page is of person {number}")
    return path.read_bytes()


def names_of(form):
    if form == "canvas":  # sanitize_user_name and sanitize_file_name, for a name in which Canvas finds a number
        clean = {n: re.sub(r"_(\d+)_", r"\1", who).lower() for n, who in PEOPLE.items()}
        return {n: f"{who}_{n}_{9000 + n}_{FILE}" for n, who in clean.items()}
    plain = {n: who.replace("_", " ") for n, who in PEOPLE.items()}
    return {n: f"{who}_{n}_assignsubmission_file{'_' if n % 2 else '/'}{FILE}" for n, who in plain.items()}


@pytest.mark.parametrize("form", ["canvas", "moodle", "zip"])
def test_every_page_goes_to_its_own_student_and_to_nobody_else(course, record, form, capsys):
    names = names_of(form) if form != "zip" else {n: f"{who}/{FILE}" for n, who in PEOPLE.items()}
    with zipfile.ZipFile(course.root / "s.zip", "w") as file:
        for number, name in names.items():
            file.writestr(name, handed_in(course, number))

    shutil.rmtree(course.root / "submitted")
    done = collect(course.root / "s.zip", Source(form, TASK), course.root / "submitted")
    assert len(done.students) == len(PEOPLE) and done.problems == []
    course.submit("stranger", "this page is of person 999")  # handed in by mail: the LMS knows nothing of it
    records = [record(s) for s in [*sorted(done.students), "stranger"]]
    last = records[-2]["extra_data"]["student"]
    records[-2] = record(last, None, None, "infrastructure_error")
    assert course.write(*records) == []
    for rec in records:
        folder = course.out / rec["extra_data"]["student"] / TASK
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(rec))
    words = ["return", str(course.out), "--format", form, "--assignment", TASK]
    words += ["--submitted", str(course.root / "submitted")]
    main(words)
    told = capsys.readouterr()
    with zipfile.ZipFile(course.out / f"feedback_{TASK}_{form}.zip") as file:
        pages = {name: file.read(name).decode() for name in file.namelist()}
    assert len(pages) == len(PEOPLE) - 1 and f"{len(pages)} page(s) of {len(pages)} student(s)" in told.out
    for name, page in pages.items():
        (whose,) = set(re.findall(r"this page is of person (\d+)", page))
        if form == "canvas":
            assert canvas_reads(name) == (int(whose), 9000 + int(whose))
        elif form == "moodle":
            assert moodle_reads(name) == int(whose) and name.startswith(names[int(whose)].removesuffix(FILE))
        else:
            assert name == f"{PEOPLE[int(whose)]}/{TASK}/conditioner.html"
        assert name.endswith("conditioner.html")
    assert f"{last}: conditioner has no result yet, so its page is left out" in told.err
    assert f"stranger: none of their files came from {form}, so there is no page for them" in told.err


def test_what_cannot_be_returned_is_one_sentence(course, record, capsys):
    course.submit("ada")
    words = ["return", str(course.out), "--assignment", TASK, "--submitted", str(course.root / "submitted")]
    for more, says in (
        (
            ["--format", "canvas"],
            "collected.csv has nothing for 5_3_conditioning from canvas; run `autograder collect`",
        ),
        (["--format", "zip", "--as-they-are"], "collected.csv has nothing for 5_3_conditioning from zip"),
        (["--format", "zip", "--assignment", "9"], "unknown assignment '9'"),
    ):
        with pytest.raises(SystemExit):
            main([*words, *more])
        assert says in capsys.readouterr().err.splitlines()[-1]


def test_each_notebook_goes_back_as_its_own_file():
    rows = [{"notebook": n, "entry": f"a_7_{i}_{n}.ipynb"} for i, n in ((1, "ema"), (2, "label_dropout"))]
    assert list(giving_back._pages(rows, "canvas", "5_2_guidance")) == [(r["notebook"], r["entry"]) for r in rows]
    names = {n for n, _ in giving_back._pages(rows, "moodle", "5_2_guidance")}
    assert names == {"label_dropout", "guided_sampling", "ema"}  # Moodle takes any file
