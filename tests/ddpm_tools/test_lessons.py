"""A lesson goes on with the student's own answer where there is one, and says whose it uses."""

from pathlib import Path

import nbformat
import pytest
import torch

from ddpm_core.training import drop_labels
from ddpm_tools.lessons import fold, show, student

ROOT = Path(__file__).resolve().parents[2]
NAME, EXERCISE = "drop_labels", "5_2_guidance/label_dropout"
OWN = "def drop_labels(labels, p_uncond, null_class, generator=None):\n    return torch.full_like(labels, 77)"


def handed(folder: Path, exercise: str = EXERCISE, **answers: str) -> Path:
    """A folder with the released notebook, these answer cells filled in."""
    nb = nbformat.read(ROOT / "exercises" / f"{exercise}.ipynb", as_version=4)
    for cell in nb.cells:
        if (name := cell.metadata.get("nbgrader", {}).get("grade_id")) in answers:
            cell.source = answers[name]
    file = folder / f"{exercise}.ipynb"
    file.parent.mkdir(parents=True)
    nbformat.write(nb, file)
    return folder


def test_a_solved_exercise_is_plugged_in(tmp_path, capsys):
    answer = student(NAME, EXERCISE, drop_labels, folder=handed(tmp_path, drop_labels=OWN))
    assert answer(torch.zeros(3, dtype=torch.long), 0.5, 10).tolist() == [77] * 3
    assert capsys.readouterr().out == "drop_labels: yours, from exercise 5_2_guidance/label_dropout.\n"


def test_an_unsolved_one_leaves_the_librarys_and_says_so(tmp_path, capsys):
    assert student(NAME, EXERCISE, drop_labels, folder=handed(tmp_path)) is drop_labels
    said = capsys.readouterr().out
    assert said.startswith("drop_labels: the library's") and "run this cell again" in said and said.count("\n") == 1


def test_without_the_notebook_the_lesson_runs_too(tmp_path, capsys):
    assert student(NAME, EXERCISE, drop_labels, folder=tmp_path) is drop_labels
    assert "not in this copy of the course" in capsys.readouterr().out


@pytest.mark.parametrize(
    "source, problem",
    [
        ("def drop_labels(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("def drop(): ...", "no drop_labels"),
    ],
)
def test_a_cell_that_does_not_run_is_named_and_the_lesson_goes_on(tmp_path, capsys, source, problem):
    folder = handed(tmp_path, drop_labels=source)
    assert student(NAME, EXERCISE, drop_labels, folder=folder) is drop_labels
    assert problem in capsys.readouterr().out


def test_nothing_else_of_the_notebook_is_run(tmp_path):
    """Neither the self-checks, which would print and assert, nor what the student added between the cells."""
    folder = handed(tmp_path, drop_labels=OWN)
    file = folder / f"{EXERCISE}.ipynb"
    nb = nbformat.read(file, as_version=4)
    nb.cells.insert(3, nbformat.v4.new_code_cell("raise SystemExit('run')"))
    nbformat.write(nb, file)
    assert student(NAME, EXERCISE, drop_labels, folder=folder) is not drop_labels


def test_an_answer_may_use_the_one_before_it_or_what_the_lesson_gives(tmp_path):
    exercise = "5_2_guidance/guided_sampling"
    sampler = "def sample_conditional():\n    return guided_eps()"
    alone = handed(tmp_path / "a", exercise, sample_conditional=sampler)
    lent = student("sample_conditional", exercise, None, {"guided_eps": lambda: "lent"}, alone)
    assert lent() == "lent"
    both = handed(
        tmp_path / "b", exercise, sample_conditional=sampler, guided_eps="def guided_eps():\n    return 'own'"
    )
    assert student("sample_conditional", exercise, None, {"guided_eps": lambda: "lent"}, both)() == "own"


def test_every_model_solution_can_be_plugged_in():
    tried = 0
    for file in sorted(ROOT.glob("solutions/*/*.ipynb")):
        for cell in nbformat.read(file, as_version=4).cells:
            marks = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "code" and marks.get("solution"):
                exercise = f"{file.parent.name}/{file.stem}"
                assert student(marks.grade_id, exercise, None, folder=ROOT / "solutions") is not None
                tried += 1
    assert tried >= 15


def test_listings_are_the_source_and_folded_ones_are_behind_a_click(monkeypatch):
    shown = []
    monkeypatch.setattr("ddpm_tools.lessons.display", lambda m: shown.append(m.data))
    show(drop_labels)
    fold(drop_labels)
    assert all("def drop_labels(" in text for text in shown)
    assert not shown[0].startswith("<details") and shown[1].startswith("<details markdown><summary>")
