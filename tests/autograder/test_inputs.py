"""Whatever is handed in instead of a notebook, and every way to spoil one: an outcome and a sentence each."""

from __future__ import annotations

import copy
import json
import os
import random
import time
from pathlib import Path

import nbformat
import pytest

from autograder import grading, judging, parts
from autograder.adapters import restore, table
from autograder.exercises import EXERCISES, of_assignment
from autograder.extract import Answers, Unreadable, extract
from autograder.judging import judge_notebook
from autograder.results import OUTCOMES, NotebookResult

ROOT = Path(__file__).resolve().parents[2]
EXERCISE = EXERCISES["5_1_unconditional", "schedules"]
SOLUTION = ROOT / "solutions/5_1_unconditional/schedules.ipynb"
LINEAR, COSINE, NOISY = EXERCISE.answers


@pytest.fixture
def nb() -> dict:
    return json.loads(SOLUTION.read_text(encoding="utf-8"))


def cell(nb: dict, name: str) -> dict:
    return next(c for c in nb["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name)


def write(folder: Path, content: dict | str | bytes) -> Path:
    path = folder / "schedules.ipynb"
    content = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- files ---------------------------------------------------------------------------------------------------------

TEXT = SOLUTION.read_text(encoding="utf-8")
DEEP = '{"cells": [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "q_sample"}}, "source": %s}]}'
NO_NOTEBOOK = {
    "empty": (b"", "is empty"),
    "only line ends": (b"\n\r\n  ", "is empty"),
    "a letter": ("Dear instructor, see my mail. Yours, Otto", "not JSON"),
    "a PDF": (b"%PDF-1.7\n\xe2\xe3\xcf\xd3", "not UTF-8"),
    "a zip": (b"PK\x03\x04\x14\x00", "not JSON"),
    "Latin-1": (TEXT.replace("image", "Übung", 1).encode("latin-1", "ignore"), "not UTF-8"),
    "UTF-16": (TEXT.encode("utf-16"), "not UTF-8"),
    "cut off": (TEXT[: len(TEXT) // 2], "not JSON"),
    "a merge conflict": ("<<<<<<< HEAD\n" + TEXT, "not JSON"),
    "a list": ("[]", "no list of cells"),
    "a number": ("7", "no list of cells"),
    "cells of another kind": ('{"cells": {"a": 1}}', "no list of cells"),
    "format 3": ('{"worksheets": [{"cells": []}], "nbformat": 3}', "notebook format 3; type `jupyter nbconvert"),
    "deep nesting": ("[" * 1_000_000, "not JSON"),
    "deep nesting of a source": (DEEP % ("[" * 900 + "]" * 900), "no answer cell"),
    "a number of a million digits": ('{"cells": [' + "9" * 1_000_000 + "]}", "not JSON"),
    "100 MB": (TEXT[:-2] + " " * (100 << 20) + "}", "larger than 20 MB; clear its outputs"),
}


@pytest.mark.parametrize("name", NO_NOTEBOOK)
def test_files_that_are_no_notebooks_are_missing_answers(name, tmp_path):
    content, says = NO_NOTEBOOK[name]
    start = time.monotonic()
    result, _ = judge_notebook(EXERCISE, write(tmp_path, content), grading.make_grader(EXERCISE, 0))
    assert result.outcome == "missing" and result.score == 0
    assert says in result.reason and result.reason.endswith(".") and len(result.reason) < 200
    assert sum(t.max_score for t in result.all_tests()) == EXERCISE.max_score
    assert time.monotonic() - start < 5


def test_what_is_no_file(tmp_path):
    path, grader = tmp_path / "schedules.ipynb", grading.make_grader(EXERCISE, 0)

    def says() -> str:
        result, _ = judge_notebook(EXERCISE, path, grader)
        assert (result.outcome, result.score) == ("missing", 0)
        return result.reason

    assert "there is no file" in says().lower()
    path.mkdir()
    assert "is a folder, not a regular file" in says()
    path.rmdir()
    path.symlink_to(SOLUTION)
    assert "is a link, not a regular file" in says()
    path.unlink()
    os.mkfifo(path)
    assert "is a pipe or a device, not a regular file" in says()


def test_a_cell_of_line_ends_does_not_keep_the_grader_busy(nb, tmp_path):
    for spoilt in ("# YOUR CODE HERE" + "\n" * 500_000, "#" * 500_000, "def" + " " * 500_000, "`" * 500_000):
        for c in nb["cells"]:
            c["source"] = spoilt
        start = time.monotonic()
        with pytest.raises(Unreadable):
            extract(write(tmp_path, nb), EXERCISE.answers)
        restore.inert_markdown(spoilt)
        assert time.monotonic() - start < 3


# --- cells ---------------------------------------------------------------------------------------------------------

STUB = "def q_sample(x_0, t, noise, alphas_cumprod):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"


def edit(nb: dict, how: str) -> dict:
    """The solution's notebook, spoilt."""
    answer = cell(nb, NOISY)
    right = "".join(answer["source"])
    other = {"cell_type": "code", "metadata": {}, "source": right, "outputs": [], "execution_count": 1}
    at = nb["cells"].index(answer)
    if how == "deleted":
        nb["cells"].remove(answer)
    elif how == "renamed":
        answer["metadata"]["nbgrader"]["grade_id"] = "my_q_sample"
    elif how == "metadata gone":
        answer["metadata"] = {}
    elif how == "moved":
        nb["cells"].insert(at, other)
        answer["source"] = STUB
    elif how == "stub":
        answer["source"] = STUB.replace("\n", "\r\n")
    elif how == "emptied":
        answer["source"] = ["\n", " "]
    elif how == "markdown":
        answer["cell_type"] = "markdown"
    elif how == "no text":
        answer["source"] = {"code": right}
    elif how == "half a character":
        answer["source"] = right + '\nx = "\ud800"'
    elif how == "too long":
        answer["source"] = right + "\n# " + "é" * 100_000
    elif how == "twice":
        nb["cells"].insert(0, copy.deepcopy(answer) | {"source": "1 /"})
    elif how == "reordered":
        nb["cells"].reverse()
    elif how == "odd cells between":
        nb["cells"][at:at] = [
            None,
            7,
            [],
            {},
            {"cell_type": "code"},
            {"cell_type": "code", "metadata": [], "source": 3},
        ]
    elif how == "other cells train":
        nb["cells"].insert(0, {"cell_type": "code", "metadata": {}, "source": "while True: pass"})
    elif how == "format 4.0":
        nb["nbformat_minor"] = 0
        for c in nb["cells"]:
            c.pop("id", None)
    elif how == "magic":
        answer["source"] = "import os\n%matplotlib inline\n" + right
    elif how == "cell magic":
        answer["source"] = "%%time\n" + right
    elif how == "shell":
        answer["source"] = "    !pip install einops\n" + right
    elif how == "extra imports":
        answer["source"] = "import numpy as np, collections, math\nfrom dataclasses import dataclass\n" + right
    elif how == "unknown import":
        answer["source"] = "import seaborn_of_my_own\n" + right
    elif how == "trains for an hour":
        answer["source"] = right + "\nimport time\ntime.sleep(3600)\n"
    elif how == "other name":
        answer["source"] = right.replace("def q_sample", "def qsample")
    elif how == "null character":
        answer["source"] = right + "\n\0"
    elif how == "old Python":
        answer["source"] = 'print "hello"\n' + right
    elif how == "exits":
        answer["source"] = right + "\nraise SystemExit"
    elif how == "reads a key":
        answer["source"] = right + "\ninput('your name? ')"
    return nb


LOST = {  # the outcome of the notebook stays `graded`, since the other answers are there; what the answer's checks say
    "deleted": "has no answer cell `q_sample`",
    "renamed": "`q_sample` is defined in cell",
    "metadata gone": "`q_sample` is defined in cell",
    "moved": "`q_sample` is defined in cell",
    "stub": "still holds the stub",
    "emptied": "still holds the stub",
    "markdown": "has no answer cell `q_sample`",
    "no text": "still holds the stub",
    "half a character": "half a character",
    "too long": "more than 200,000 characters",
}
RUN = {  # these reach the sandbox; None: nothing is lost
    "twice": (None, "occurs more than once; the last one was graded"),
    "reordered": (None, ""),
    "odd cells between": (None, ""),
    "other cells train": (None, ""),
    "format 4.0": (None, ""),
    "extra imports": (None, ""),
    "magic": ("Line 2 of the answer cell `q_sample` begins with `%`: magics and shell lines", ""),
    "cell magic": ("begins with `%`: magics and shell lines", ""),
    "shell": ("begins with `!`: magics and shell lines", ""),
    "unknown import": ("No module named 'seaborn_of_my_own'; only the course's packages", ""),
    "other name": ("does not define `q_sample`", ""),
    "null character": ("null bytes", ""),
    "old Python": ("SyntaxError in cell `q_sample`, line 1", ""),
    "exits": ("SystemExit", ""),
    "reads a key": ("EOFError", ""),
    "trains for an hour": ("it should only define", ""),  # the last: it takes the child with it
}


@pytest.mark.parametrize("how", LOST)
def test_an_answer_that_is_not_there_costs_its_own_points_and_says_why(how, nb, tmp_path):
    found = extract(write(tmp_path, edit(nb, how)), EXERCISE.answers, together=False)
    assert set(found.cells) == {LINEAR, COSINE} and LOST[how] in found.absent[NOISY]
    with pytest.raises(Unreadable, match="`q_sample`"):
        extract(tmp_path / "schedules.ipynb", EXERCISE.answers, together=True)


@pytest.fixture(scope="module")
def fates(tmp_path_factory):
    """How each of RUN fares, by one child: its answers are judged one after the other as those of a notebook are."""
    told, grader = {}, grading.make_grader(EXERCISE, 0, check_s=8.0)
    folder = tmp_path_factory.mktemp("run")
    alone = EXERCISE.checks_of(NOISY)
    code = parts.stage(EXERCISE, folder / "code")
    waiting = list(RUN)
    while waiting:
        with parts.Child(code, grader.limits) as child:
            probe = parts.Probe(child, timeout_s=8.0)
            while waiting:
                how = waiting.pop(0)
                nb = edit(json.loads(TEXT), how)
                answers = extract(write(folder, nb), EXERCISE.answers)
                result = NotebookResult(EXERCISE, "graded", "")
                try:
                    parts.judge_answer(EXERCISE, NOISY, answers, probe, result, 0, None)
                except parts.Failure as e:
                    parts.lose(EXERCISE, NOISY, result, e.message)
                    told[how] = [t for t in result.tests if t.name in [c.name for c in alone]], answers
                    break
                told[how] = result.tests, answers
    return told


@pytest.mark.parametrize("how", RUN)
def test_an_answer_that_runs_elsewhere_runs_here_or_says_why(how, fates):
    tests, answers = fates[how]
    says, remark = RUN[how]
    assert len(tests) == len(EXERCISE.checks_of(NOISY))
    for test in tests:
        assert test.passed == (says is None), test
        assert test.passed or says in test.output
    assert remark in " ".join(answers.remarks) and bool(remark) == bool(answers.remarks)


@pytest.mark.parametrize("encode", [lambda t: t.encode("utf-8-sig"), lambda t: t.replace("\n", "\r\n").encode()])
def test_byte_order_mark_and_windows_line_ends(encode, tmp_path):
    assert extract(write(tmp_path, encode(TEXT)), EXERCISE.answers) == extract(SOLUTION, EXERCISE.answers)


def test_a_remark_reaches_the_student(nb, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "judge_parts", lambda *a: setattr(a[3], "reason", "Every check holds."))
    result, _ = judge_notebook(EXERCISE, write(tmp_path, edit(nb, "twice")), grading.make_grader(EXERCISE, 0))
    assert result.reason.startswith("Every check holds. The cell `q_sample` occurs more than once")


# --- anything ------------------------------------------------------------------------------------------------------

ODD = (None, True, -1, 1e999, "", "code", "q_sample", "\ud800", "\0", [], {}, [[]], [1], {"nbgrader": 1}, 10**400)


def mutate(nb: object, chance: random.Random) -> object:
    """The notebook with one to five JSON values replaced, removed or doubled."""
    nb = copy.deepcopy(nb)
    for _ in range(chance.randint(1, 5)):
        at, path = nb, []
        while isinstance(at, (dict, list)) and at and (len(path) < 1 or chance.random() < 0.8):
            key = chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
            path.append((at, key))
            at = at[key]
        holder, key = path[-1] if path else ({"": nb}, "")
        what = chance.random()
        if what < 0.6:
            holder[key] = copy.deepcopy(chance.choice(ODD))
        elif what < 0.8:
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(at))
        else:
            holder[f"{key}2"] = copy.deepcopy(at)
    return nb


def corrupted(seed: int) -> bytes:
    """A notebook with bytes flipped, cut or doubled, or with values replaced."""
    chance = random.Random(seed)
    content = bytearray(TEXT.encode())
    kind = seed % 4
    if kind == 0:
        for _ in range(chance.randint(1, 40)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        start = chance.randrange(len(content))
        del content[start : start + chance.choice([1, 10, 1000, len(content)])]
    elif kind == 2:
        start = chance.randrange(len(content))
        content[start:start] = content[start : start + chance.randrange(2000)] + chance.randbytes(3)
    else:
        return json.dumps(mutate(json.loads(TEXT), chance)).encode()
    return bytes(content)


class Nobody:
    """A child that is never asked: only the way there and back is under test."""

    printed, peak_bytes = "", 0

    def __init__(self, *args, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def ask(self, header, tensors=None, timeout_s=0.0):
        from autograder.child import protocol

        encoded = protocol.encode(header, tensors)  # whatever was extracted can be sent, and read again
        text, _ = protocol.PREFIX.unpack(encoded[: protocol.PREFIX.size])
        protocol.decode(encoded[protocol.PREFIX.size :][:text], encoded[protocol.PREFIX.size + text :])
        return {"error": {"kind": "NameError", "text": "nothing runs here"}}, {}


def test_of_600_corrupted_notebooks_none_stops_a_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "Child", Nobody)
    monkeypatch.setattr(parts, "stage", lambda exercise, folder: folder)
    for i in range(600):
        folder = tmp_path / "submitted" / f"s{i:03}" / EXERCISE.assignment
        folder.mkdir(parents=True)
        write(folder, corrupted(i))
    submissions = grading.find(tmp_path / "submitted")
    records = grading.grade(submissions, tmp_path / "out", 0, progress=False)
    assert len(records) == 600
    outcomes = [r["extra_data"]["notebooks"]["schedules"]["outcome"] for r in records]
    assert set(outcomes) <= set(OUTCOMES) - {"infrastructure_error"}
    assert outcomes.count("missing") > 100 and outcomes.count("crash") > 100  # both ways were taken
    reasons = [r["extra_data"]["notebooks"]["schedules"]["reason"] for r in records]
    assert all(r.isprintable() and r.endswith((".", "!", "?")) for r in reasons)
    table.write_csv(records, tmp_path / "grades.csv")
    table.write_report(records, tmp_path)
    assert grading.grade(submissions, tmp_path / "out", 0, progress=False) == records  # all found again
    released = nbformat.read(ROOT / "exercises/5_1_unconditional/schedules.ipynb", as_version=4)
    for s in submissions[::4]:
        nbformat.writes(restore.viewable(s.files["schedules"], released))


def test_extraction_takes_anything(tmp_path):
    for i in range(600, 1200):
        try:
            found = extract(write(tmp_path, corrupted(i)), EXERCISE.answers, together=bool(i % 2))
        except Unreadable as e:
            assert str(e).isprintable() or "\\" in repr(str(e))
        else:
            assert isinstance(found, Answers) and all(isinstance(s, str) for s in found.cells.values())


def test_every_exercise_of_the_assignment_gets_a_line(tmp_path):
    (tmp_path / "s/ada" / EXERCISE.assignment).mkdir(parents=True)
    rec = grading.grade(grading.find(tmp_path / "s"), tmp_path / "o", 0, progress=False)[0]
    assert set(rec["extra_data"]["notebooks"]) == {e.name for e in of_assignment(EXERCISE.assignment)}
    assert rec["extra_data"]["outcome"] == "missing" and rec["score"] == 0
