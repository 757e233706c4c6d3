"""Hints and messages guide: none holds a piece of the model solution to be pasted, unless the task states it."""

import ast
import json
import re

import pytest

from autograder.exercises import EXERCISES, HERE
from autograder.intake import model_solutions
from autograder.intake.extract import source_of

LONGEST = 24  # characters without spaces


def squeezed(text):
    return re.sub(r"\s+", "", text)


def answer(exercise):
    """What the model solution has and the released stub has not: of its code cells, what stands between the marks."""
    found = model_solutions.reference(exercise, exercise.answers)
    parts = [p for s in found.values() for p in re.findall("BEGIN SOLUTION(.*?)### END SOLUTION", s, re.S)]
    return [squeezed(re.sub("#.*", "", part)) for part in parts]


def texts(exercise):
    """(the task and its signatures, hints of the notebook, strings of the checks)"""
    path = HERE.parents[1] / "exercises" / exercise.assignment / f"{exercise.name}.ipynb"
    pages = [
        source_of(c) for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "markdown"
    ]
    hints = re.findall("<details>(.*?)</details>", "\n".join(pages), re.S)
    task = re.sub("<details>.*?</details>", "", "\n".join(pages), flags=re.S)
    sources = (p.read_text(encoding="utf-8") for p in (HERE / exercise.name).glob("*.py") if p.name != "questions.py")
    nodes = (n for s in sources for n in ast.walk(ast.parse(s)))
    return squeezed(task), hints, [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def shared(text, solution):
    """The longest run of characters, spaces left out, that stands in both, from LONGEST on."""
    text, best = squeezed(text), ""
    for i in range(len(text) - LONGEST):
        size = max(LONGEST, len(best) + 1)
        while i + size <= len(text) and text[i : i + size] in solution:
            best, size = text[i : i + size], size + 1
    return best


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda e: e.name)
def test_no_hint_and_no_message_holds_the_answer(exercise):
    task, hints, messages = texts(exercise)
    for text in (*hints, *messages):
        for solution in answer(exercise):
            found = shared(text, solution)
            assert not found or found in task or re.fullmatch(r"[\w.(=`]*", found), f"{found} stands in: {text}"


def test_hints_and_messages_are_found():
    assert all(len(hints) >= 3 and len(messages) > 10 for _, hints, messages in map(texts, EXERCISES.values()))


def test_it_would_be_found():
    hint = "Try `torch.linspace(T - 1, 0,  num_steps).round().long().tolist()` here."
    assert (
        shared(hint, "times=torch.linspace(T-1,0,num_steps).round().long()")
        == "torch.linspace(T-1,0,num_steps).round().long()"
    )
