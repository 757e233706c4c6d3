"""The remedy beside the error, where it is a usual mistake."""

from __future__ import annotations

import pytest

from autograder.exercises.base import AnswerError
from autograder.grading.messages import load_error


@pytest.mark.parametrize("mark", ["%matplotlib inline", "%%time", "!pip install einops", "  ?help"])
def test_magics_and_shell_lines_are_named_with_their_line(mark):
    error = AnswerError({"kind": "SyntaxError", "text": "invalid syntax", "cell": "f", "line": 2})
    text = load_error(error, {"g": "y = 1\n", "f": f"x = 1\n{mark}\n"})
    assert text.startswith(f"Line 2 of the answer cell `f` begins with `{mark.strip()[0]}`")
    assert "move it to another cell" in text


def test_another_syntax_error_is_what_it_is():
    error = AnswerError({"kind": "SyntaxError", "text": "invalid syntax", "cell": "f", "line": 1})
    assert "begins with" not in load_error(error, {"f": "x = = 1 % 2\n"})
