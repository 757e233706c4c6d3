"""The zip for Otter-Grader, unpacked into Otter's folders and started as its container starts it.

Otter itself is none of this course's packages: a stand-in of its interface does what Otter does with a plugin, in that
order. With Otter 7.0.0 itself it was run by hand, as docs/instructors.md says.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder.authoring.mutants import banks
from autograder.cli.main import main
from tests.corpus.one_answer import ASSIGNMENT, CRASH, HIDDEN, NOTEBOOK, handed_in, package

ROOT = Path(__file__).resolve().parents[2]
OTTER = {
    "plugins.py": """
class AbstractOtterPlugin:
    def __init__(self, submission_path, submission_metadata, plugin_config):
        self.submission_path, self.plugin_config = submission_path, plugin_config
""",
    "test_files.py": "def test_case():\n    return lambda f: f\n",
    "run/__init__.py": "",
    "run/run_autograder.py": """
import importlib, json, os, runpy, sys
from pathlib import Path
from types import SimpleNamespace


class Results:
    def __init__(self, tests):
        self.tests, self.output = tests, None

    def get_result(self, name):
        return self.tests[name]

    def update_score(self, name, score):
        self.tests[name].score = score

    def set_output(self, output):
        self.output = output


def main(folder):
    root = Path(folder)
    config = json.loads((root / "source/otter_config.json").read_text())
    metadata = json.loads((root / "submission_metadata.json").read_text())
    os.chdir(root / "submission")
    [(name, settings)] = config["plugins"][0].items()
    module, _, cls = name.rpartition(".")
    [notebook] = Path().glob("*.ipynb")
    plugin = getattr(importlib.import_module(module), cls)(str(notebook.resolve()), metadata, settings)
    submission = plugin.before_execution(json.loads(notebook.read_text()))
    assert submission["cells"] == [], "code of the student's would run in Otter's kernel"
    tests = {}
    for file in sorted((root / "source/tests").glob("*.py")):
        env = runpy.run_path(str(file))
        one = SimpleNamespace(passed=False, message="AssertionError")
        tests[env["name"]] = SimpleNamespace(points=env["points"], score=0, test_case_results=[one])
    results = Results(tests)
    plugin.after_grading(results)
    told = {n: [t.score, t.points, *vars(t.test_case_results[0]).values()] for n, t in tests.items()}
    (root / "results/results.json").write_text(json.dumps({"tests": told, "output": results.output}))
""",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return package("otter", tmp_path_factory.mktemp("zip") / "otter.zip")


@pytest.fixture(scope="module")
def image(archive, tmp_path_factory):
    """What Otter's Dockerfile makes of the zip, and the stand-in beside it."""
    root = tmp_path_factory.mktemp("autograder")
    with zipfile.ZipFile(archive) as z:
        z.extractall(root / "source")
    (root / "results").mkdir()
    for name, text in OTTER.items():
        file = root / "stand_in/otter" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "stand_in/otter/__init__.py").write_text("")
    return root


def submit(image, source, python=sys.executable, **env):
    """Run the image's run_otter.py on an answer, or on the stub; (what came of it, results or None)."""
    shutil.rmtree(image / "submission", ignore_errors=True)
    (image / "results/results.json").unlink(missing_ok=True)
    (image / "submission").mkdir()
    (image / "submission_metadata.json").write_text("")  # as in Otter's image
    (image / "submission/homework of ada.ipynb").write_text(handed_in(source), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(image / "stand_in"), **env}
    argv = [python, str(image / "source/run_otter.py")]
    done = subprocess.run(argv, cwd=image, env=env, capture_output=True, text=True, timeout=300)
    file = image / "results/results.json"
    return done, json.loads(file.read_text()) if file.is_file() else None


def test_right_wrong_crashing_and_missing_answers_get_their_points(image, programs):
    bank = next(banks(NOTEBOOK))
    wrong = next(iter(bank.wrong.values()))
    for source, least, most in (
        (next(iter(bank.right.values())), 10, 10),
        (wrong.source, 0, 9.99),
        (CRASH, 0, 0),
        (None, 0, 0),
    ):
        # the first starts as it does there
        done, result = submit(image, source, sys.executable if least == 10 else programs / "python")
        assert done.returncode == 0, done.stderr
        tests = result["tests"]
        assert least <= sum(score for score, *_ in tests.values()) <= most
        assert sum(points for _, points, *_ in tests.values()) == 10
        for score, points, passed, message in tests.values():
            assert passed == (score == points) and message != "AssertionError" and isinstance(message, str)
        assert not HIDDEN.search(json.dumps(result)) and not HIDDEN.search(done.stdout)
        if source == wrong.source:
            assert set(wrong.loses) <= {n.removeprefix(f"{NOTEBOOK}: ") for n, t in tests.items() if not t[2]}


def test_without_a_sandbox_there_are_no_results_rather_than_a_zero(image, programs, tmp_path):
    for tool in ("prlimit", "setpriv", "choom"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    done, result = submit(image, "def drop_labels(): ...", programs / "python", PATH=str(tmp_path))
    assert done.returncode == 1 and result is None
    said = done.stderr.strip().splitlines()[-1]
    assert "no score was given" in said and "The sandbox needs the program bwrap" in said


def test_the_zip_is_laid_out_as_otters_are(archive, capsys):
    with zipfile.ZipFile(archive) as z:
        names = z.namelist()
        programs = {n for n in names if z.getinfo(n).external_attr >> 16 & 0o111}
        config = json.loads(z.read("otter_config.json"))
        setup = z.read("setup.sh")
    top = {n.partition("/")[0] for n in names}
    assert top == {
        *("setup.sh", "run_autograder", "run_otter.py", "otter_config.json", "environment.yml", "requirements.txt"),
        *("requirements.lock", "tests", "files"),
    }
    assert programs == {"setup.sh", "run_autograder"} and config["lang"] == "python"
    subprocess.run(["bash", "-n"], input=setup, check=True)
    assert not [n for n in names if "mutants" in n or "__pycache__" in n]
    with pytest.raises(SystemExit):
        main(["package", ASSIGNMENT, "--format", "otter", "--course", str(ROOT)])
    assert "Otter grades one notebook at a time: choose it with --notebook (label_dropout" in capsys.readouterr().err
