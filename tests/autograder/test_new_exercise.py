"""`autograder new-exercise`, and the section of docs/new_exercise.md that walks through it, run as it stands there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.authoring import new_exercise
from autograder.cli.main import main
from autograder.intake.extract import grade_id

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("autograder", "benchmarks", "data", "ddpm_core", "ddpm_tools", "lessons", "solutions", "tests")
FILES = ("pyproject.toml", "nbgrader_config.py")
NAME, TASK = "signal_to_noise", "5_1_unconditional"

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course") / "course"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    return folder


def blocks(language):
    section = (ROOT / "docs/new_exercise.md").read_text(encoding="utf-8").split("\n## A new exercise\n")[1]
    return re.findall(rf"```{language}\n(.*?)```", section, re.S)


def run(course, programs, lines):
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "HOME": str(course.parent), "PYTHONPATH": str(course)}
    said = ""
    for line in lines.strip().splitlines():
        done = subprocess.run(["bash", "-c", line], cwd=course, env=env, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said += done.stdout
    return said


def test_the_page_s_example_is_graded_right(course, programs):
    begin, end = blocks("sh")
    said = run(course, programs, begin)
    passed = int(re.search(r"(\d+) passed", said)[1])
    assert passed >= 8 and "failed" not in said  # bank, sandbox and notebook, none of them edited

    checks, answer = blocks("python")
    assert len(checks.splitlines()) <= 25
    folder = course / "autograder/exercises" / NAME
    (folder / "__init__.py").write_text(checks, encoding="utf-8")
    (folder / "mutants.txt").write_text("\n" + blocks("text")[0], encoding="utf-8")
    path = course / f"solutions/{TASK}/{NAME}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if grade_id(cell) == NAME:
            signature, body = answer.rstrip().split("\n", 1)
            text = f"{signature}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"
            cell["source"] = text.splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")
    said = run(course, programs, end)
    assert '"mutants_caught": 1, "right_answers": 1, "right_answers_failed": 0' in said
    scores = {}
    for student in ("ada", "ben"):
        record = json.loads((course / f"build/grades/{student}/{TASK}/results.json").read_text(encoding="utf-8"))
        scores[student] = record["score"], record["output"]
    assert scores["ada"][0] == 10
    assert scores["ben"][0] == 0 and "signal over noise is not abar" in scores["ben"][1].lower()


@pytest.mark.parametrize(
    "name, assignment, says",
    [
        ("label_dropout", TASK, "the name 'label_dropout' is taken: "),
        ("calls", TASK, "the name 'calls' is taken: "),
        ("two words", TASK, "'two words' is not a name that Python can import"),
        ("class", TASK, "'class' is not a name that Python can import"),
        ("fine", "9_9", "unknown assignment '9_9'; known: 5_1_unconditional"),
    ],
)
def test_what_cannot_be_is_one_sentence(name, assignment, says, capsys):
    with pytest.raises(SystemExit) as end:
        main(["new-exercise", name, "--assignment", assignment, "--course", str(ROOT)])
    error = capsys.readouterr().err
    assert end.value.code == 2 and says in error and error.count("\n") == 1


def test_another_folder_is_no_course(tmp_path):
    with pytest.raises(ValueError, match="is not the course's folder"):
        new_exercise.create("fine", TASK, tmp_path)
