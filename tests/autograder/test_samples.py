"""A right and a wrong sample through the whole path, gate included.

`benchmarks/samples.py` has all samples and several seeds; test_grading.py has the wrong ones, which are not trained.
"""

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_right_design_gets_full_marks_and_a_wrong_one_fails(tmp_path, capsys):
    main = runpy.run_path(str(ROOT / "benchmarks/samples.py"))["main"]
    main(["--repeats", "1", "--out", str(tmp_path), "--students", "ada-film", "zoe-blank"])
    said = capsys.readouterr().out
    assert json.loads(said.strip().splitlines()[-1]) == {
        **{"repeats": 1, "right": 1, "right_with_full_marks": 1},
        **{"wrong": 1, "wrong_that_failed": 1, "distinct_reasons": 1},
    }, said
