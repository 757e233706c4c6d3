"""An assignment as PrairieLearn's questions, run in the folders of its container below a temporary one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.authoring.mutants import banks
from autograder.intake.extract import grade_id
from tests.corpus.one_answer import ASSIGNMENT, CRASH, HIDDEN, NOTEBOOK, handed_in, package

ROOT = Path(__file__).resolve().parents[2]
SHARED = f"ddpm_grader_{ASSIGNMENT}"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return package("prairielearn", tmp_path_factory.mktemp("pl") / "course", "--image", "me/grader:1")


@pytest.fixture(scope="module")
def grade(course, tmp_path_factory):
    """What the container holds when it starts: /grade with the shared files, the tests, and the submission's data."""
    root = tmp_path_factory.mktemp("grade")
    shutil.copytree(course / "serverFilesCourse", root / "serverFilesCourse")
    shutil.copytree(course / "questions" / NOTEBOOK / "tests", root / "tests")
    (root / "data").mkdir()
    (root / "data/data.json").write_text("{}")
    return root


def submit(course, grade, text, python=Path(sys.executable).parent, **env):
    """Start the question's entry point as PrairieLearn does; returns (what it printed, results).

    `python` is the folder of the Python that it finds.
    """
    shutil.rmtree(grade / "student", ignore_errors=True)
    shutil.rmtree(grade / "results", ignore_errors=True)  # PrairieLearn does not make it
    (grade / "student").mkdir()
    if text is not None:
        (grade / "student" / f"{NOTEBOOK}.ipynb").write_text(text, encoding="utf-8")
    info = json.loads((course / "questions" / NOTEBOOK / "info.json").read_text())
    entrypoint = info["externalGradingOptions"]["entrypoint"].replace("/grade", str(grade), 1)
    path = os.pathsep.join([str(python), os.environ["PATH"]])
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"GRADE_ROOT": str(grade), "PATH": path, **env}
    done = subprocess.run([entrypoint], cwd="/", env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    file = grade / "results/results.json"
    assert file.stat().st_size < 1_000_000
    return done.stdout, json.loads(file.read_text(encoding="utf-8"))


def test_right_wrong_and_crashing_answers_get_their_share(course, grade, programs):
    bank = next(banks(NOTEBOOK))
    printed, right = submit(course, grade, handed_in(next(iter(bank.right.values()))))
    assert printed == "" and right["gradable"] and right["score"] == 1
    assert sum(t["max_points"] for t in right["tests"]) == 10
    assert all(set(t) == {"name", "points", "max_points", "message"} for t in right["tests"])

    wrong = next(iter(bank.wrong.values()))
    printed, lost = submit(course, grade, handed_in(wrong.source), programs)
    failed = {t["name"].removeprefix(f"{NOTEBOOK}: ") for t in lost["tests"] if t["points"] < t["max_points"]}
    assert set(wrong.loses) <= failed and printed == ""
    assert 0 <= lost["score"] < 1
    assert lost["score"] == pytest.approx(sum(t["points"] for t in lost["tests"]) / 10)

    printed, crashed = submit(course, grade, handed_in(CRASH), programs)
    assert crashed["gradable"] and crashed["score"] == 0 and printed == ""
    for told in (right, lost, crashed):  # neither what reproduces the inputs, nor what is the instructor's
        assert set(told) == {"gradable", "score", "message", "tests"}
        assert not HIDDEN.search(json.dumps(told))


@pytest.mark.parametrize("text", [handed_in(), None], ids=["stub", "no file"])
def test_without_an_answer_no_attempt_is_used_up(course, grade, programs, text):
    _, result = submit(course, grade, text, programs)
    assert result["gradable"] is False and "score" not in result and len(result["format_errors"]) == 1


def test_where_the_sandbox_cannot_start_one_sentence_says_so_and_no_points_are_lost(course, grade, programs, tmp_path):
    tools = tmp_path / "bin"  # a container without bubblewrap
    tools.mkdir()
    for tool in ("bash", "env", "dirname", "prlimit", "setpriv", "choom"):
        (tools / tool).symlink_to(shutil.which(tool))
    (tools / "python3").symlink_to(programs / "python3")
    _, result = submit(course, grade, handed_in("def drop_labels(): ..."), PATH=str(tools))
    assert result["gradable"] is False and "score" not in result and "tests" not in result
    assert "no score was given" in result["format_errors"][0]
    assert "The sandbox needs the program bwrap" in result["format_errors"][1]


def test_the_questions_folder_is_as_documented(course):
    question = course / "questions" / NOTEBOOK
    info = json.loads((question / "info.json").read_text())
    assert info["type"] == "v3" and info["gradingMethod"] == "External" and len(info["uuid"]) == 36
    assert info["externalGradingOptions"] == {
        "enabled": True,
        "image": "me/grader:1",
        "entrypoint": f"/grade/serverFilesCourse/{SHARED}/run_prairielearn",
        "serverFilesCourse": [f"{SHARED}/"],
        "timeout": 120,
    }
    page = (question / "question.html").read_text()
    assert f'<pl-file-upload file-names="{NOTEBOOK}.ipynb">' in page and "<pl-external-grader-results>" in page
    shown = [f for part in ("question.html", "info.json") for f in [question / part]]
    shown += (question / "clientFilesQuestion").iterdir()
    solution = json.loads((ROOT / "solutions" / ASSIGNMENT / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))
    answer = next("".join(c["source"]) for c in solution["cells"] if grade_id(c) == "drop_labels")
    for file in shown:  # students download these
        assert answer not in file.read_text() and json.dumps(answer)[1:-1] not in file.read_text()
    grader = course / "serverFilesCourse" / SHARED
    assert (grader / "Dockerfile").is_file() and (grader / "requirements.txt").is_file()
    assert not list(grader.rglob("mutants.txt")) and not list(grader.rglob("__pycache__"))
    for file in grader.rglob("*"):
        assert not file.is_file() or str(ROOT).encode() not in file.read_bytes(), file


def test_a_second_export_replaces_the_first_and_nothing_else(course, tmp_path, capsys):
    (tmp_path / "questions" / NOTEBOOK).mkdir(parents=True)
    (tmp_path / "questions" / NOTEBOOK / "thesis.tex").write_text("years of work")
    with pytest.raises(SystemExit):
        package("prairielearn", tmp_path)
    assert "contains other files" in capsys.readouterr().err
    assert (tmp_path / "questions" / NOTEBOOK / "thesis.tex").read_text() == "years of work"
    before = {f: f.read_bytes() for f in course.rglob("*") if f.is_file()}
    package("prairielearn", course, "--image", "me/grader:1")
    assert {f: f.read_bytes() for f in course.rglob("*") if f.is_file()} == before
