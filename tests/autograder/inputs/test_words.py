"""The remedy beside the error, where it is a usual mistake."""

from __future__ import annotations

import platform

import pytest
import torch

from autograder.exercises.base import AnswerError
from autograder.grading.messages import load_error


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", "=======", ">>>>>>> origin/main"])
def test_conflict_markers_are_named_with_their_line(mark):
    error = AnswerError({"kind": "SyntaxError", "text": "invalid syntax", "cell": "f", "line": 2})
    text = load_error(error, {"g": "y = 1\n", "f": f"x = 1\n{mark}\n"})
    assert text.startswith(f"Line 2 of the answer cell `f` is a Git conflict marker, `{mark[:7]}`")
    assert "keep one of the two versions" in text


def test_another_syntax_error_is_what_it_is():
    error = AnswerError({"kind": "SyntaxError", "text": "invalid syntax", "cell": "f", "line": 1})
    text = load_error(error, {"f": "x = = 1 % 2\n#======= \ny = '======== <<<<<<<<'"})
    assert "marker" not in text and f"the grader runs Python {platform.python_version()}" in text


NEWER = {
    ("ImportError", "cannot import name 'override' from 'typing' (/usr/lib/typing.py)"): "Python",
    ("AttributeError", "module 'itertools' has no attribute 'batched'"): "Python",
    ("AttributeError", "module 'torch' has no attribute 'tomorrow'"): f"torch {torch.__version__.partition('+')[0]}",
    ("AttributeError", "module 'numpy.random' has no attribute 'x'"): "numpy",
    ("AttributeError", "'Linear' object has no attribute 'x'"): "",
    ("ImportError", "cannot import name 'x' from 'elsewhere'"): "",
}


@pytest.mark.parametrize("said", NEWER, ids=lambda said: said[1][:40])
def test_what_may_be_newer_than_the_grader_is_told_with_its_version(said):
    error = {"kind": said[0], "text": said[1], "cell": "f", "line": 1}
    for text in (str(AnswerError(error)), str(AnswerError(error, "f", ("g",)))):
        assert NEWER[said] in text and ("the grader runs" in text or "the grader has" in text) == bool(NEWER[said])
