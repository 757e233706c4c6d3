"""The same attacks where the grader is an ordinary user, whose answers have that user's own id."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.autograder.sandbox.children import REPO
from tests.autograder.sandbox.test_who_starts_it import ordinary_user

HERE = Path(__file__).parent
ATTACKS = (  # parts of names; at least one of each kind
    *("reads_the_gradebook", "becomes_root", "hundreds_of_processes", "whose_end_is_ignored", "whose_first_thread"),
    *("empty_files", "tables_of_empty", "hands_to", "exit_at_once", "fork_bomb", "pickle_place"),
    *("without_this", "every_word", "with_the_filter"),
)


def test_the_red_team_of_an_ordinary_user():
    with ordinary_user() as (words, folder):
        home = folder / "home"
        home.mkdir()
        if not os.geteuid():
            shutil.chown(home, 65534, 65534)
        env = {**os.environ, "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(REPO)}
        names = " or ".join("(" + " and ".join(word.split("_")) + ")" for word in ATTACKS)
        files = [str(HERE / f"test_{name}.py") for name in ("redteam", "harm", "walls")]
        argv = [*words, sys.executable, "-B", "-m", "pytest", "-n", "0", "--tb=short", "-p", "no:cacheprovider"]
        argv += ["--basetemp", str(home / "t"), *files, "-k", names]
        ended = subprocess.run(argv, env=env, cwd=REPO, capture_output=True, text=True, timeout=600)
    assert not ended.returncode, ended.stdout[-4000:] + ended.stderr[-2000:]
    passed = re.search(r"(\d+) passed", ended.stdout)
    assert passed and int(passed[1]) >= 60, ended.stdout[-2000:]
