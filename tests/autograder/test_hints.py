"""Hints of `autograder check`: one more after each failure, three in all, and never the solution."""

from pathlib import Path

import nbformat
import pytest

from autograder import exercises
from autograder.cli import grade, hints
from autograder.grading.results import NotebookResult, Test

ROOT = Path(__file__).resolve().parents[2]
EXERCISES = exercises.discovered()
DROPOUT = EXERCISES["5_2_guidance", "label_dropout"]
FIRST, SECOND = (c.name for c in DROPOUT.checks[1:3])


@pytest.fixture
def notebook(tmp_path):
    (tmp_path / "label_dropout.ipynb").write_text("{}")
    return tmp_path / "label_dropout.ipynb"


def judged(*failed, outcome="graded", output="the property {} does not hold."):
    """A result in which these checks failed."""
    tests = [Test(c.name, 0.0, c.points, output.format(c.name)) for c in DROPOUT.checks if c.name in failed]
    tests += [Test(c.name, c.points, c.points, "holds") for c in DROPOUT.checks if c.name not in failed]
    return NotebookResult(DROPOUT, outcome, "", tests)


def test_three_failures_give_three_hints_and_the_fourth_repeats_the_third(notebook):
    said = [hints.after(judged(FIRST, SECOND), notebook) for _ in range(4)]
    assert [f"Hint {n} of 3" in text for n, text in zip((1, 2, 3, 3), said)] == [True] * 4
    assert len(set(said)) == 3 and said[2] == said[3]
    assert all(FIRST in text and SECOND not in text for text in said)
    assert "is its message above." in said[0]  # which is printed once
    assert [text.endswith("you get the next hint.") for text in said] == [True, True, False, False]


def test_a_check_that_holds_begins_anew_and_others_go_on(notebook):
    for _ in range(2):
        hints.after(judged(SECOND), notebook)
    assert f"“{FIRST}”. Hint 1" in hints.after(judged(FIRST, SECOND), notebook)
    assert f"“{SECOND}”. Hint 3" in hints.after(judged(SECOND), notebook)  # it failed all the while
    assert f"“{FIRST}”. Hint 1" in hints.after(judged(FIRST, SECOND), notebook)  # it held in between
    assert hints.after(judged(), notebook) == ""
    assert list(notebook.parent.iterdir()) == [notebook]


def test_what_was_not_judged_is_given_no_hint_and_costs_none(notebook):
    hints.after(judged(FIRST), notebook)
    every = [c.name for c in DROPOUT.checks]
    assert hints.after(judged(*every, output="line 3 raises NameError."), notebook) == ""
    assert hints.after(judged(*every, outcome="timeout"), notebook) == ""
    assert "Hint 2" in hints.after(judged(FIRST), notebook)


@pytest.mark.parametrize("content", ["[1]", "{", '{"a": "b"}', "\0"])
def test_a_broken_count_begins_anew(notebook, content):
    hints.counts_file(notebook).write_text(content)
    assert "Hint 1" in hints.after(judged(FIRST), notebook)


def test_a_folder_that_takes_no_file_still_gets_the_first_hint(notebook):
    hints.counts_file(notebook).mkdir()
    assert "Hint 1" in hints.after(judged(FIRST), notebook)


def test_the_command_prints_it(notebook, monkeypatch, capsys):
    monkeypatch.setattr(grade, "judge_notebook", lambda *args, **more: (judged(FIRST), None))
    for n in (1, 2):
        assert not grade.check_notebook(notebook, gate=False, seed=1)
        assert f"Hint {n} of 3" in capsys.readouterr().out


def every_hint():
    for (assignment, name), e in EXERCISES.items():
        for check in e.checks:
            if found := hints.hints(e, check.name):
                yield assignment, name, check.name, found


def test_hints_belong_to_checks_and_nearly_every_check_has_two():
    own = {e.name: {c.name for c in e.checks} for e in EXERCISES.values()}
    for name, checks in own.items():
        assert hints.table(exercises.HERE / name / hints.FILE).keys() <= checks
    shared = {c.partition(": ")[2] or c for checks in own.values() for c in checks}
    assert hints.table(exercises.HERE / hints.FILE).keys() <= shared
    found = list(every_hint())
    assert len(found) >= 0.95 * sum(map(len, own.values()))
    for *_, check, two in found:
        assert len(set(two)) == 2, check
        assert all(20 < len(hint) < 330 and hint.endswith((".", "?")) for hint in two), check


def test_no_hint_holds_a_line_of_a_solution():
    solved = {}
    for assignment, name in EXERCISES:
        nb = nbformat.read(ROOT / f"solutions/{assignment}/{name}.ipynb", as_version=4)
        cells = [c.source for c in nb.cells if c.cell_type == "code" and c.metadata.get("nbgrader", {}).get("solution")]
        regions = [r.split("### END SOLUTION")[0] for c in cells for r in c.split("### BEGIN SOLUTION")[1:]]
        lines = [line.partition("  #")[0].strip() for region in regions for line in region.splitlines()]
        solved[name] = {"".join(line.split()) for line in lines if len(line) > 8}
        bare = {line.partition("=")[2] or line.removeprefix("return") for line in solved[name]}
        solved[name] |= {expression for expression in bare if len(expression) > 8}
    for _, name, check, two in every_hint():
        for hint in two:
            text = "".join(hint.split())
            assert not [line for line in solved[name] if line in text], check
