"""Every kind of file and cell of submissions.py, put to `autograder grade`."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path

import nbformat
import pytest
import torch

from autograder.adapters import restore
from autograder.cli.main import main
from autograder.exercises import EXERCISES
from autograder.grading import batch
from autograder.intake.extract import Unreadable, extract
from autograder.intake.submissions import Submission
from tests.corpus import submissions as corpus
from tests.corpus.submissions import ANSWER, ASKED, FOUND, GRADED, NAMED, NOTEBOOK, PIECES, TASK

EXERCISE = EXERCISES[TASK, NOTEBOOK]


def answers(source: str) -> bool:
    """Whether this is the function that was asked for, by its definition."""
    names = {"torch": torch}
    exec(compile(source, "answer", "exec"), names)
    labels = torch.arange(4_000) % 7
    out = [names[ANSWER](labels, p, 7, torch.Generator().manual_seed(0)) for p in (0.0, 0.5, 1.0)]
    kept = [(o == labels).float().mean().item() for o in out]
    return kept[0] == 1 and 0.4 < kept[1] < 0.6 and kept[2] == 0


def written(folder: Path, nb: dict) -> Path:
    (folder / ASKED).write_text(json.dumps(nb), encoding="utf-8")
    return folder / ASKED


@pytest.mark.parametrize("ids", [ANSWER, f"{ANSWER}-copy", f"{ANSWER}_Copy1", f"{ANSWER} copy 2"])
@pytest.mark.parametrize("name", PIECES)
def test_pieces_of_an_answer(name, ids, tmp_path):
    pieces, right, remark = PIECES[name]
    path = written(tmp_path, corpus.notebook(pieces, ids=ids))
    try:
        found = extract(path, EXERCISE.answers)
    except Unreadable as e:
        assert not right and "still holds the stub" in str(e)
        return
    source = found.cells[ANSWER].replace("%matplotlib inline", "")  # the kernel's to understand
    try:
        assert answers(source) == right
    except (NameError, AttributeError):  # it names what is not there, or returns nothing
        assert not right
    said = " ".join(found.remarks)
    assert remark in said and bool(remark) == bool(said), said


def test_merged_cells_and_cells_of_another_kind(tmp_path):
    exercise = EXERCISES["5_1_unconditional", "schedules"]
    nb = json.loads((corpus.ROOT / "solutions/5_1_unconditional/schedules.ipynb").read_text(encoding="utf-8"))
    first, second, _ = (corpus.cell(nb, name) for name in exercise.answers)
    first["source"] = [*first["source"], "\n\n", *second["source"]]
    nb["cells"].remove(second)
    found = extract(written(tmp_path, nb), exercise.answers, together=False)
    assert not found.absent and f"def {exercise.answers[1]}" in found.cells[exercise.answers[1]]
    assert f"graded from the cell `{exercise.answers[0]}`" in found.remarks[0]
    for kind in ("markdown", "raw"):
        nb = corpus.notebook([corpus.STUB, corpus.RIGHT])
        nb["cells"][nb["cells"].index(corpus.cell(nb)) + 2]["cell_type"] = kind
        with pytest.raises(Unreadable, match=f"`{ANSWER}` is answered in a text cell of {ASKED}"):
            extract(written(tmp_path, nb), EXERCISE.answers)
        nb = corpus.notebook([corpus.RIGHT, "my notes"])
        nb["cells"][nb["cells"].index(corpus.cell(nb)) + 2]["cell_type"] = kind
        assert answers(extract(written(tmp_path, nb), EXERCISE.answers).cells[ANSWER])


def test_a_marker_sees_all_pieces_of_a_written_answer():
    released = nbformat.reads(json.dumps(corpus.RELEASED), as_version=4)
    cells = copy.deepcopy(corpus.RELEASED["cells"])
    words = corpus.cell({"cells": cells}, f"{NOTEBOOK}_written")
    stub = "".join(words["source"])
    cells += [words | {"source": text} for text in ("first half", "second half", "", stub)]
    shown = corpus.cell(restore.restore(cells, released), f"{NOTEBOOK}_written")
    assert shown["source"] == "first half\n\nsecond half"


@pytest.mark.parametrize("name", FOUND)
def test_a_notebook_is_found(name, tmp_path):
    files, place = FOUND[name]
    corpus.Case(files, 0).write(tmp_path)
    found = Submission("ada", TASK, tmp_path).found(NOTEBOOK)
    assert found.path == tmp_path / place and not found.why
    assert found.said.startswith(f"{place} was used as {ASKED}") == bool(found.said) == (place != ASKED)


def test_what_lies_there_counts_for_the_record(tmp_path):
    """A record is kept only while it says what a new one would."""
    s, seen = Submission("ada", TASK, tmp_path, (NOTEBOOK,)), set()
    graders = {NOTEBOOK: batch.make_grader(EXERCISE, 0)}
    for files in ({}, {"a.rar": None}, {f"{NOTEBOOK}.ipynb.txt": corpus.SOLVED}, {ASKED: corpus.SOLVED}):
        corpus.Case(files, 0).write(tmp_path)
        seen.add(batch.hashes_of(s, graders)["submission"])
    assert len(seen) == 4


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """One run of the command over everything."""
    root = tmp_path_factory.mktemp("submissions")
    for name, case in (GRADED | NAMED).items():
        (root / f"submitted/{name}/{TASK}").mkdir(parents=True)
        case.write(root / f"submitted/{name}/{TASK}")
    (root / "submitted/cy_1_assignsubmission_file_").mkdir()
    (root / "submitted/dee_LATE_12345_678910_label_dropout-1.ipynb").touch()
    (root / "submitted/eve").mkdir()
    (root / "submitted/eve/homework.rar").touch()
    words = ["--out", str(root / "out"), "--assignment", TASK, "--notebook", NOTEBOOK, "--jobs", "2"]
    main(["grade", str(root / "submitted"), *words, "--course", str(corpus.ROOT)])
    return root


def problems(graded: Path) -> list[dict[str, str]]:
    with (graded / "out/grades.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["outcome"] == "problem"]


@pytest.mark.parametrize("name", GRADED | NAMED)
def test_each_gets_what_it_deserves_and_a_sentence(name, graded):
    case = (GRADED | NAMED)[name]
    record = json.loads((graded / f"out/{name}/{TASK}/results.json").read_text(encoding="utf-8"))
    assert record["score"] == case.points, record["output"]
    for words in case.says:
        assert words.casefold() in record["output"].casefold()
    told = " ".join(row["reason"] for row in problems(graded) if row["student"] == name)
    if name not in ("nothing", "stub", "as asked"):  # the instructor is told, too
        assert case.says[0].casefold() in told.casefold()
    shown = json.loads((graded / f"out/autograded/{name}/{TASK}/{ASKED}").read_text(encoding="utf-8"))
    answer = "".join(corpus.cell(shown)["source"])
    assert ("torch.where(" in answer) == (case.points > 0)  # what was graded is what a marker sees


def test_folders_that_are_nobodys_are_named_with_the_remedy(graded):
    told = {row["student"]: row["reason"] for row in problems(graded)}
    for name in ("cy_1_assignsubmission_file_", "dee_LATE_12345_678910_label_dropout-1.ipynb"):
        assert told[name] == "not graded: take the download over with `autograder collect`"
    assert told["eve"].endswith("there is no folder of an assignment; homework.rar should be in one")


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("Ada Lovelace_101_assignsubmission_file_/x.ipynb", "`autograder collect` --format moodle"),
        ("lovelaceada_LATE_12345_678910_label_dropout-1.ipynb", "`autograder collect` --format canvas"),
        ("ada/label_dropout.ipynb", "from Canvas or Moodle, take the download over with `autograder collect`"),
    ],
)
def test_a_download_is_sent_to_collect(inside, says, tmp_path, capsys):
    (tmp_path / "down" / inside).parent.mkdir(parents=True)
    (tmp_path / "down" / inside).touch()
    with pytest.raises(SystemExit):
        main(["grade", str(tmp_path / "down"), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_hostile_zips_and_links_bring_nothing(tmp_path):
    folder = tmp_path / "ada"
    folder.mkdir()
    corpus.Case({"hw.zip": {f"../../{ASKED}": corpus.SOLVED}, "bad.zip": None}, 0).write(folder)
    corpus.Case({"theirs.zip": {ASKED: corpus.SOLVED}}, 0).write(tmp_path)
    (folder / "link.zip").symlink_to(tmp_path / "theirs.zip")
    (folder / "below").symlink_to(tmp_path)
    found = Submission("ada", TASK, folder).found(NOTEBOOK)
    assert found.path == folder / ASKED and "bad.zip (" in found.why and "hw.zip (a zip in which" in found.why
    with pytest.raises(Unreadable):
        extract(folder / "link.zip" / ASKED, EXERCISE.answers)
