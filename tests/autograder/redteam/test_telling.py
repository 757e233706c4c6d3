"""Whatever lies in an answer's process, its messages carry no source of ours; an honest student still reads enough."""

import base64
import json
import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.exercises import EXERCISES
from autograder.exercises.base import AnswerError
from autograder.grading import batch
from autograder.grading.judging import judge_notebook
from autograder.grading.results import record
from autograder.intake import model_solutions

ATTACKS = runpy.run_path(str(Path(__file__).parent / "attacks/telling.py"))["ATTACKS"]
ADAGN = EXERCISES["5_3_conditioning", "adagn"]
BLOCK = replace(ADAGN, answers=("AdaResBlock",), checks=ADAGN.checks_of("AdaResBlock"))
OURS = model_solutions.reference(ADAGN, ("AdaGroupNorm",))["AdaGroupNorm"]
LONGEST = 24


def squeezed(text):
    return re.sub(r"[\W_]+", "", text)


def carried(text):
    """In how many ways a run of 24 characters of ours stands in a text: as it is, reversed, coded, letter by letter."""
    letters = "".join(chr(int(n)) for n in re.findall(r"\d+", text) if 9 <= int(n) < 127)
    packed = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", text)]
    packed = "".join(n.to_bytes(8, "big").decode("latin-1").strip("\0") for n in packed if 2**24 < n < 2**63)
    found = set()
    for way, said, known in (
        ("plain", squeezed(text), squeezed(OURS)),
        ("reversed", squeezed(text)[::-1], squeezed(OURS)),
        ("letters", letters, OURS),
        ("packed", packed, OURS),
        ("hex", text, OURS.encode().hex()),
        *((f"base64+{i}", text, base64.b64encode(OURS[i:].encode()).decode()) for i in range(3)),
    ):
        if any(known[i : i + LONGEST] in said for i in range(len(known) - LONGEST)):
            found.add(way)
    return found


def test_the_detector_finds_what_it_should():
    coded = base64.b64encode(OURS[100:300].encode()).decode()
    for text in (OURS[50:120], OURS[50:120][::-1], coded, OURS[:90].encode().hex(), str(list(OURS[9:60].encode()))):
        assert carried(f"words {text} words")
    assert not carried("mat1 and mat2 shapes cannot be multiplied (2x128 and 64x64)")


@pytest.mark.parametrize("name", ATTACKS)
def test_no_source_of_ours_travels(name, tmp_path, got):
    cells = [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "AdaResBlock"}}, "source": ATTACKS[name]}]
    (tmp_path / "adagn.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}), encoding="utf-8")
    result, _ = judge_notebook(BLOCK, tmp_path / "adagn.ipynb", batch.make_grader(BLOCK, 7))
    assert "found" in result.instructor["printed"] and result.score == 0
    told = json.dumps(record("mallory", BLOCK.assignment, [result]), ensure_ascii=False)
    assert carried(told) == set(), told
    got(name, result.score, "none; no 24 consecutive characters of ours revealed")
    for test in result.tests:  # nor anything else in a student's own words, however it is coded
        numbers = re.findall(r"[\d,]*\d", test.output)
        assert len(numbers) <= 20 and all(len(n) <= 11 for n in numbers), test.output
        assert max(map(len, test.output.split())) < 60, test.output


HONEST = {  # what a student is told who needs it
    ("RuntimeError", "mat1 and mat2 shapes cannot be multiplied (2x128 and 64x64)"): "mat1 and mat2 shapes cannot be",
    ("TypeError", "'NoneType' object is not subscriptable"): "object is not subscriptable",
    ("NameError", "name 'F' is not defined (helpers …)"): "is not defined",
    ("KeyError", "'alphas'"): "KeyError",
    ("SyntaxError", "'(' was never closed"): "was never closed",
    ("ValueError", "the model expects one of labels for each image, shape (4,), but got (2,)"): "the model expects one",
}


@pytest.mark.parametrize("said", HONEST, ids=lambda s: s[0])
def test_an_honest_error_is_told_whole_where_nothing_of_ours_is_near(said):
    error = {"kind": said[0], "text": said[1], "cell": "AdaResBlock", "line": 7}
    assert str(AnswerError(error)) == f"your code raised {said[0]} in cell `AdaResBlock`, line 7: {said[1]}"
    beside = str(AnswerError(error, "AdaResBlock", ("AdaGroupNorm",)))
    assert f"{said[0]} in cell `AdaResBlock`, line 7" in beside and HONEST[said] in beside and "self-check" in beside


def test_values_and_long_numbers_are_not_told():
    text = str(AnswerError({"kind": "ValueError", "text": "got 0.1234, -1e-3 and 1.5e-4 at 12345678 of (64, 32)"}))
    assert "1234" not in text and "1.5" not in text and "(64, 32)" in text
