"""Killed at 20 random moments and started again, a batch has the grades of one that nobody disturbed.

With another seed or more kills: INTERRUPTION_SEED, or interrupted.py by hand.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SEED = int(os.environ.get("INTERRUPTION_SEED", "0"))  # printed where the test fails


@pytest.mark.timeout(1600)  # on a machine with much else to do; a minute on one without
def test_killed_at_20_random_moments_the_grades_are_those_of_an_undisturbed_run(tmp_path):
    words = [sys.executable, HERE / "interrupted.py", tmp_path, "--points", 18, "--moments", 2, "--seed", SEED]
    root = HERE.parents[1]
    env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=root, env=env, timeout=1500)
    assert done.returncode == 0, f"seed {SEED}\n{done.stderr[-4000:]}"
    assert json.loads(done.stdout.splitlines()[-1]) == {"points": 18, "moments": 2}
