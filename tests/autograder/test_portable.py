"""`autograder check` from the students' bundle where there is no root, no bubblewrap, no Linux."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.authoring.mutants import banks
from autograder.intake.extract import grade_id
from autograder.release import bundle

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = "label_dropout.ipynb"
RUN = """
import sys
sys.path.insert(0, ".")
# all that `check` imports, libraries included, before the change
import autograder.cli.grade, autograder.cli.main as cli
assert "students" in cli.__file__, cli.__file__
{change}
cli.main()
"""
# What Windows lacks, gone before anything of ours is imported. The libraries have ways of their own there, which are
# not ours to test: they are imported first.
WITHOUT = """
import importlib.abc, sys
import torch, psutil, tqdm.auto, matplotlib.figure, sklearn.datasets, tempfile, subprocess, shutil, platform
class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without())
for name in {names}:
    sys.modules.pop(name, None)
"""
UNIX_ONLY = ("fcntl", "resource", "pwd", "grp", "termios", "syslog")


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    folder = bundle.make(tmp_path_factory.mktemp("bundle") / "students", ROOT)
    path = folder / "exercises/5_2_guidance" / NOTEBOOK
    nb = json.loads(path.read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        if grade_id(cell) == "drop_labels":
            cell["source"] = next(iter(next(banks("label_dropout")).right.values()))
    (folder / NOTEBOOK).write_text(json.dumps(nb), encoding="utf-8")
    return folder


def check(students, code, prefix=(), python=sys.executable, **env):
    words = [*prefix, str(python), "-c", code, "check", NOTEBOOK]
    env = {k: v for k, v in os.environ.items() if k != "PATH"} | {"PATH": "/nowhere"} | env
    return subprocess.run(words, cwd=students, env=env, capture_output=True, text=True, timeout=300)


def ordinary_user(home):
    """The words before a command that make root an ordinary user, who may still read where this Python is installed."""
    if os.geteuid():
        return []
    os.chown(home, 65534, 65534)
    read = "+dac_read_search"
    words = [shutil.which("setpriv"), "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]
    return [*words, "--bounding-set", f"-all,{read}", "--inh-caps", f"-all,{read}", "--ambient-caps", f"-all,{read}"]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_an_ordinary_user_without_bubblewrap(students, tmp_path, platform):
    home = tmp_path / "home"
    home.mkdir()
    change = f"import os; assert os.geteuid(); sys.platform = {platform!r}"
    done = check(students, RUN.format(change=change), ordinary_user(home), HOME=str(home), TMPDIR=str(home))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 points" in done.stdout
    assert "Not of record: the grade comes from the instructor's run, with other inputs, in a sandbox." in done.stdout
    assert done.stdout.count("ok  ") == 11 and "FAIL" not in done.stdout
    assert not [p for p in home.iterdir() if p.name.startswith("autograder-")]  # nothing is left behind


def test_root_on_macos_needs_no_abstract_socket(students, programs):
    code = """
import sys, socket, autograder.sandbox.uids as uids
sys.platform = "darwin"
def none(*a): raise AssertionError("a socket was made")
socket.socket = none
import os; os.geteuid = lambda: 0
print(uids.Uid().number)
"""
    argv = [programs / "python", "-c", code]
    done = subprocess.run(argv, cwd=students, capture_output=True, text=True, timeout=120)
    assert done.stdout == "0\n", done.stderr


def test_on_windows_one_sentence_says_what_to_do(students, programs):
    change = 'import os; os.name, sys.platform = "other", "win32"'  # "nt" would make pathlib refuse to work here
    code = WITHOUT.format(names=UNIX_ONLY) + RUN.format(change=change)
    twice = """
try:
    cli.main()
except SystemExit as end:
    assert end.code == 1, end.code
cli.main(["grade", "exercises", "--out", "grades"])
"""
    done = check(students, code.replace("cli.main()\n", twice), python=programs / "python")
    assert (
        "infrastructure_error: no score. Answers run on Linux or macOS; on Windows type `wsl --install`." in done.stdout
    )
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and "needs Linux; on Windows type `wsl --install`" in last
