"""The workflow for GitHub Classroom: its steps run in a copy of the students' bundle, its results read as there."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from autograder.adapters import github
from autograder.authoring.mutants import banks
from autograder.release import bundle
from tests.corpus.one_answer import ASSIGNMENT, CRASH, NOTEBOOK, handed_in, package

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A student's repository: the bundle, and the workflow of one notebook in it."""
    folder = bundle.make(tmp_path_factory.mktemp("classroom") / "ada", ROOT)
    package("github", folder / ".github/workflows/classroom.yml")
    return folder


def workflow(repository):
    return yaml.safe_load((repository / ".github/workflows/classroom.yml").read_text(encoding="utf-8"))


def push(repository, source, tmp_path, python=Path(sys.executable).parent):
    """Run the notebook's step on an answer, or on the stub; what the reporter then reads.

    `python` is the folder of the Python that it finds.
    """
    notebook = repository / "exercises" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
    notebook.write_text(handed_in(source), encoding="utf-8")
    step = next(s for s in workflow(repository)["jobs"]["run-autograding-tests"]["steps"] if s.get("id") == NOTEBOOK)
    output = tmp_path / "output"
    output.write_text("")
    path = os.pathsep.join([str(python), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(repository), "GITHUB_OUTPUT": str(output)}
    done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=repository, env=env, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    line = output.read_text()
    assert line.startswith("result=") and line.count("\n") == 1
    return json.loads(base64.b64decode(line.removeprefix("result=")))


def test_each_push_tells_the_reporter_what_the_checks_found(repository, programs, tmp_path):
    bank = next(banks(NOTEBOOK))
    right = push(repository, next(iter(bank.right.values())), tmp_path)
    assert right["version"] == 1 and right["status"] == "pass" and right["max_score"] == 10
    assert sum(t["score"] for t in right["tests"]) == 10 and {t["status"] for t in right["tests"]} == {"pass"}

    wrong = next(iter(bank.wrong.values()))
    lost = push(repository, wrong.source, tmp_path, programs)
    failed = {t["name"].removeprefix(f"{NOTEBOOK}: ") for t in lost["tests"] if t["status"] == "fail"}
    assert lost["status"] == "fail" and set(wrong.loses) <= failed and sum(t["score"] for t in lost["tests"]) < 10

    for source in (CRASH, None):
        result = push(repository, source, tmp_path, programs)
        assert result["status"] == "fail" and sum(t["score"] for t in result["tests"]) == 0
        assert all(isinstance(t["message"], str) and t["message"] for t in result["tests"])


def test_the_workflow_has_the_names_that_the_reporter_asks_for(repository):
    whole = workflow(repository)
    assert whole["name"] == "Autograding Tests" and list(whole["jobs"]) == ["run-autograding-tests"]
    reporter = whole["jobs"]["run-autograding-tests"]["steps"][-1]
    for runner in reporter["with"]["runners"].split(","):
        assert reporter["env"][f"{runner.upper()}_RESULTS"] == f"${{{{ steps.{runner}.outputs.result }}}}"
    assert "secrets" not in json.dumps(whole)  # whoever pushes could read them
    assert not (repository / "solutions").exists() and not (repository / "data/judges").exists()


@pytest.mark.parametrize("text", ["", "Traceback", "{}", "[]"])
def test_a_check_that_ends_without_a_result_is_an_error(text):
    told = json.loads(base64.b64decode(github.run(text).removeprefix("result=")))
    assert told["status"] == "error" and told["max_score"] == 0 and told["tests"] == []
