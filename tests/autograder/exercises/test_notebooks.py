"""Every notebook through the real grading path: its solution earns all automatic points, the released stub none."""

import json
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from autograder.authoring import mutants
from autograder.exercises import EXERCISES
from autograder.grading import batch
from autograder.grading.judging import judge_notebook
from autograder.intake.extract import grade_id

ROOT = Path(__file__).resolve().parents[3]
UNGATED = [e for e in EXERCISES.values() if not e.gate_cell]
PARTS = [e for e in EXERCISES.values() if not e.judged_as_pair]


def path_of(part, exercise):
    return ROOT / part / exercise.assignment / f"{exercise.name}.ipynb"


def cells(part, exercise):
    nb = nbformat.read(path_of(part, exercise), as_version=4)
    return {c.metadata.nbgrader.grade_id: c for c in nb.cells if "nbgrader" in c.metadata}


@pytest.mark.parametrize("exercise", UNGATED, ids=lambda e: e.name)
def test_the_solution_earns_every_point_and_the_stub_none(exercise):
    grader = batch.make_grader(exercise, seed=5)
    result, _ = judge_notebook(exercise, path_of("solutions", exercise), grader)
    assert result.outcome == "graded" and result.reason == "Every check holds."
    assert result.score == result.exercise.max_score == 10, [t for t in result.tests if not t.passed]
    stub, _ = judge_notebook(exercise, path_of("exercises", exercise), grader)
    assert stub.outcome == "missing" and stub.score == 0 and "still holds the stub" in stub.reason


@pytest.mark.parametrize("exercise", PARTS, ids=lambda e: e.name)
def test_the_notebook_has_the_cells_and_points_that_the_grader_knows(exercise):
    found = {name: c.metadata.nbgrader for name, c in cells("exercises", exercise).items()}
    assert tuple(n for n, m in found.items() if m.solution and not m.grade) == exercise.answers
    points = {n: m.points for n, m in found.items() if m.grade and not m.solution}
    gate = {exercise.gate_cell: exercise.gate_points} if exercise.gate_cell else {}
    assert points == gate | {f"{a}_checks": sum(c.points for c in exercise.checks_of(a)) for a in exercise.answers}
    assert tuple(n for n, m in found.items() if m.grade and m.solution) == exercise.written
    assert all(found[f"{a}_selfcheck"].locked for a in exercise.answers) and found["setup"].locked
    names = [c.name for c in exercise.checks]
    assert len(set(names)) == len(names) and all(c.answer in exercise.answers and c.lesson for c in exercise.checks)


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda e: e.name)
def test_messages_point_to_sections_that_exist(exercise):
    for lesson, section in {tuple(c.lesson.rstrip("”").split(", “", 1)) for c in exercise.checks if c.lesson}:
        number = lesson.removeprefix("lesson ").replace(".", "_")
        for notebook in (ROOT / "lessons").glob(f"{number}_*.ipynb"):
            texts = [c.source for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "markdown"]
            assert any(section in line for text in texts for line in text.splitlines() if line.startswith("#")), section


@pytest.mark.parametrize("bank", mutants.banks(), ids=lambda b: b.answer)
def test_the_self_checks_of_the_notebook_let_every_right_answer_pass_and_stop_the_stub(bank):
    locked, solved, blank = (cells(part, bank.exercise) for part in ("exercises", "solutions", "exercises"))

    def run(answer):
        """The notebook's code cells up to the self-check, with the model answers before this one: ours, trusted."""
        space, names = {}, ["setup"]
        for before in bank.exercise.answers[: bank.exercise.answers.index(bank.answer)]:
            names += [before, f"{before}_selfcheck"]
        for name in names:
            exec(
                compile((solved if name in bank.exercise.answers else locked)[name].source, f"<{name}>", "exec"), space
            )
        for source in (answer, locked[f"{bank.answer}_selfcheck"].source):
            exec(compile(source, "<cell>", "exec"), space)

    for answer in (solved[bank.answer].source, *bank.right.values()):
        run(answer)
    with pytest.raises(NotImplementedError):
        run(blank[bank.answer].source)


def bundle_check(python, notebook):
    done = subprocess.run(
        [python, "-m", "autograder.cli", "check", str(notebook)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_commands_check_and_grade_judge_each_answer_by_itself(programs, tmp_path):
    """One right, one wrong, one blank: the right one has its points, also in the gradebook."""
    nb = json.loads(path_of("exercises", EXERCISES["5_1_unconditional", "schedules"]).read_text(encoding="utf-8"))
    right = cells("solutions", EXERCISES["5_1_unconditional", "schedules"])
    for cell in nb["cells"]:
        if grade_id(cell) == "q_sample":
            cell["source"] = right["q_sample"].source
        elif grade_id(cell) == "linear_beta_schedule":
            cell["source"] = "def linear_beta_schedule(timesteps, a, b):\n    return 1 /"
    folder = tmp_path / "submitted" / "ada" / "5_1_unconditional"
    folder.mkdir(parents=True)
    (folder / "schedules.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    code, said = bundle_check(programs / "python", folder / "schedules.ipynb")
    assert code == 1 and "4 of 10 points" in said
    assert "SyntaxError in cell `linear_beta_schedule`, line 2" in said
    assert "Not answered: `cosine_beta_schedule` still holds the stub" in said
    words = ["grade", str(folder.parents[1]), "--out", str(tmp_path / "out"), "--course", str(ROOT), "--seed", "1"]
    words += ["--assignment", "5_1_unconditional"]
    done = subprocess.run([programs / "autograder", *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out/ada/5_1_unconditional/results.json").read_text(encoding="utf-8"))
    assert record["score"] == 4 and record["extra_data"]["outcome"] == "graded"
    points = {"linear_beta_schedule_checks": 0, "cosine_beta_schedule_checks": 0, "q_sample_checks": 4}
    assert record["extra_data"]["notebooks"]["schedules"]["cells"] == points
    if shutil.which("sqlite3") is None:
        return
    found = ["sqlite3", str(tmp_path / "out/gradebook.db"), "select sum(auto_score) from grade"]
    assert float(subprocess.run(found, capture_output=True, text=True, check=True).stdout) == 4
