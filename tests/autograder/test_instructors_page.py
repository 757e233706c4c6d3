"""The ten commands of docs/instructors.md, run as they stand there."""

import csv
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/instructors.md"
FOLDERS = ("lessons", "exercises", "solutions", "ddpm_core", "ddpm_tools", "autograder", "data", "docs", "scripts")
FILES = ("pyproject.toml", "setup.py", "requirements.lock", "environment.yml", "LICENSE", "nbgrader_config.py")
CPU_S = 90.0  # of all ten, where 45 were measured on a busy machine; on two idle cores that is less on the clock

pytestmark = pytest.mark.timeout(1200)  # ten programs that load torch or nbgrader, one after the other


def commands():
    """The lines of the page's first fenced block."""
    return re.search(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1].strip().splitlines()


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the course in which all ten were run, and the processor seconds that they took."""
    folder = tmp_path_factory.mktemp("course") / "course"
    junk = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=junk)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "HOME": str(folder.parent), "PYTHONPATH": str(folder)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for line in commands():
        done = subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return folder, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_there_are_ten_and_they_are_cheap(course):
    assert len(commands()) == 10
    assert course[1] < CPU_S


def test_each_leaves_what_the_page_promises(course):
    build = course[0] / "build"
    assert (build / "students/README.md").is_file() and not (build / "students/solutions").exists()
    records = {s: json.loads((build / f"grades/{s}/5_2_guidance/results.json").read_text()) for s in ("ada", "ben")}
    assert (records["ada"]["score"], records["ada"]["max_score"]) == (10, 10)
    assert (records["ben"]["score"], records["ben"]["extra_data"]["outcome"]) == (0, "missing")
    assert "ada" in (build / "grades/report.html").read_text() and "ben" in (build / "grades/grades.csv").read_text()
    assert "course: the solution" in (build / "similarity/similarity.csv").read_text()  # whose answer ada handed in
    questions = list(csv.DictReader((build / "grades/questions.csv").open(encoding="utf-8")))
    assert {"ada", "ben"} <= {value for row in questions for value in row.values()}
    feedback = (build / "grades/feedback/ada/5_2_guidance/label_dropout.html").read_text(encoding="utf-8")
    assert "a coin for each label" in feedback
    assert "run_autograder" in zipfile.ZipFile(build / "gradescope.zip").namelist()
    assert (build / "grades/gradebook.db").is_file()
