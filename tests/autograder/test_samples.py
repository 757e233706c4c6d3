"""The sample submissions through the whole path, gate included; `benchmarks/samples.py` repeats it with more seeds."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_right_designs_get_full_marks_and_wrong_ones_fail_each_for_its_own_reason(tmp_path):
    words = [sys.executable, ROOT / "benchmarks/samples.py", "--repeats", "1", "--out", tmp_path]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    assert figures["right_with_full_marks"] == figures["right"] == 2
    assert figures["wrong_that_failed"] == figures["wrong"] == 7
    assert figures["distinct_reasons"] == 7
