"""Every way to spoil a notebook's cells has its own outcome and its own sentence."""

from __future__ import annotations

import copy
import json
import time

import pytest

from autograder.adapters import restore
from autograder.exercises.base import Probe
from autograder.grading import batch, judging
from autograder.grading.judging import judge_notebook
from autograder.grading.remarks import worded
from autograder.grading.results import NotebookResult
from autograder.intake.extract import Unreadable, extract
from autograder.sandbox.limits import Failure
from autograder.sandbox.session import session
from tests.autograder.inputs.notebooks import COSINE, EXERCISE, LINEAR, NOISY, TEXT, cell, write

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
        answer["source"] = "!pip install einops\n" + right
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
    "twice": (None, "occurs more than once; the one that defines it was graded, without a piece that is not Python"),
    "reordered": (None, ""),
    "odd cells between": (None, ""),
    "other cells train": (None, ""),
    "format 4.0": (None, ""),
    "extra imports": (None, ""),
    "magic": (None, ""),
    "cell magic": (None, ""),
    "shell": (None, "skipped line 1 of the cell `q_sample` (`!pip install einops`)"),
    "unknown import": (None, "does not have `seaborn_of_my_own`, only the course's"),
    "other name": ("does not define `q_sample`", ""),
    "null character": ("null bytes", ""),
    "old Python": ("SyntaxError in cell `q_sample`, line 1", ""),
    "exits": (None, "raised SystemExit in cell `q_sample`"),
    "reads a key": (None, "raised EOFError in cell `q_sample`"),
    "trains for an hour": ("It should only contain the definition", ""),  # the last: it takes the child with it
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
    told, grader = {}, batch.make_grader(EXERCISE, 0, check_s=8.0)
    folder = tmp_path_factory.mktemp("run")
    alone = EXERCISE.checks_of(NOISY)
    waiting = list(RUN)
    while waiting:
        with session(EXERCISE, grader.limits) as child:
            while waiting:
                probe = Probe(child, timeout_s=8.0)
                how = waiting.pop(0)
                nb = edit(json.loads(TEXT), how)
                answers = extract(write(folder, nb), EXERCISE.answers)
                result = NotebookResult(EXERCISE, "graded", "")
                j = judging.Judging(grader, result, 0, lambda what, share: None)
                try:
                    judging.judge_answer(j, NOISY, answers, probe)
                except Failure as e:
                    judging.lose(j, NOISY, e.message)
                    told[how] = [t for t in result.tests if t.name in [c.name for c in alone]], answers.remarks
                    break
                remarks = [*answers.remarks, *worded(probe.notes, answers.cells), *probe.stops]
                told[how] = result.tests, remarks
    return told


@pytest.mark.parametrize("how", RUN)
def test_an_answer_that_runs_elsewhere_runs_here_or_says_why(how, fates):
    tests, remarks = fates[how]
    says, remark = RUN[how]
    assert len(tests) == len(EXERCISE.checks_of(NOISY))
    for test in tests:
        assert test.passed == (says is None), test
        assert test.passed or says in test.output
    assert remark in " ".join(remarks) and bool(remark) == bool(remarks)


def test_a_remark_reaches_the_student(nb, tmp_path, monkeypatch):
    monkeypatch.setattr(
        judging, "judge_per_answer", lambda j, answers: setattr(j.result, "reason", "Every check holds.")
    )
    result, _ = judge_notebook(EXERCISE, write(tmp_path, edit(nb, "twice")), batch.make_grader(EXERCISE, 0))
    assert result.reason.startswith("Every check holds. The cell `q_sample` occurs more than once")


def test_a_cell_of_line_ends_does_not_keep_the_grader_busy(nb, tmp_path):
    for spoilt in ("# YOUR CODE HERE" + "\n" * 500_000, "#" * 500_000, "def" + " " * 500_000, "`" * 500_000):
        for c in nb["cells"]:
            c["source"] = spoilt
        start = time.monotonic()
        with pytest.raises(Unreadable):
            extract(write(tmp_path, nb), EXERCISE.answers)
        restore.inert_markdown(spoilt)
        assert time.monotonic() - start < 3
