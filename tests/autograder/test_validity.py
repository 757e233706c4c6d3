"""benchmarks/validity.py: the table of targets in docs/grading_validity.md."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def validity():
    with pytest.MonkeyPatch.context() as m:
        m.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("validity")
        for name in ("validity", "gate_figures", "machine_mutants", "rewrites"):
            sys.modules.pop(name, None)


def test_the_table_in_the_page_is_the_one_of_the_stored_records(validity):
    page = validity.PAGE.read_text(encoding="utf-8")
    measured = json.loads(validity.MEASURED.read_text(encoding="utf-8"))
    assert set(measured) == set(validity.COMMANDS)
    written = page.split(validity.BEGIN)[1].split(validity.END)[0]
    assert written.strip() == validity.table(measured).strip(), "run python benchmarks/validity.py"


def runs(n, wrong_share=0.0, right_share=1.0):
    rows = [{"exercise": "conditioner", "kind": "wrong", "design": "ignored", "share": wrong_share}] * n
    rows += [{"exercise": "conditioner", "kind": "right", "design": "deep", "share": right_share}] * n
    return [{**r, "cpu": "AVX512", "cpu_s": 10.0 + i % 5} for i, r in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "reached"),
    [
        (runs(385), [True, True, True, True, True]),
        (runs(370), [False, False, True, True, True]),  # no error, but too few to claim 1 %
        (runs(385)[:-1] + runs(1, right_share=0.5)[1:], [False, True, True, True, True]),
        (runs(385) + runs(1, wrong_share=0.5)[:1], [True, False, True, True, True]),
        ([*runs(385), {**runs(1)[1], "cpu_s": 46.0}], [True, True, True, False, True]),
        ([*runs(385), {**runs(1)[0], "cpu_s": 16.0}], [True, True, True, True, False]),
        ([{**r, "cpu_s": 31.0} for r in runs(385)], [True, True, False, True, False]),
        ([*runs(385), {**runs(1)[0], "kind": "long", "cpu_s": 200.0}], [True, True, True, True, True]),
        ([], [False, False]),  # the limits were just changed
    ],
)
def test_a_target_is_reached_if_the_runs_prove_it(validity, monkeypatch, rows, reached):
    bench = validity.gate_figures
    monkeypatch.setattr(bench, "read", lambda *a: rows)
    monkeypatch.setattr(bench, "share", lambda row, one_look: row["share"])
    assert [r.reached for r in validity.gates()] == reached


def test_a_measurement_is_stored_as_soon_as_it_ends(validity, monkeypatch, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{validity.BEGIN}old\n{validity.END}after\n", encoding="utf-8")
    monkeypatch.setattr(validity, "PAGE", page)
    monkeypatch.setattr(validity, "MEASURED", tmp_path / "validity.json")
    monkeypatch.setattr(validity, "ROOT", tmp_path)
    monkeypatch.setattr(validity, "table", lambda measured: f"{sorted(measured)} | yes |")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/mutants.py").write_text("print('on the way')\nprint('{\"mutants\": 3}')", encoding="utf-8")
    (tmp_path / "benchmarks/misconceptions.py").write_text("raise SystemExit(3)", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["validity.py", "--measure", "bank", "names"])
    with pytest.raises(SystemExit, match=r"^validity: misconceptions\.py ended with exit status 3; see above$"):
        validity.main()
    assert json.loads((tmp_path / "validity.json").read_text(encoding="utf-8"))["bank"]["figures"] == {"mutants": 3}
    monkeypatch.setattr(sys, "argv", ["validity.py"])
    validity.main()
    assert page.read_text(encoding="utf-8") == f"before\n{validity.BEGIN}\n['bank'] | yes |\n{validity.END}after\n"
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"reached": 1, "missed": 0}


def test_a_class_is_counted_up_to_200(validity):
    figures = {"seconds": 180.0, "submissions": 10}
    (row,) = validity.grading({"conditioner": {"figures": figures}})
    assert row.measured == "60 minutes, from 10" and row.reached
    (row,) = validity.grading({"conditioner": {"figures": figures | {"seconds": 190.0}}})
    assert not row.reached and "**no**" in str(row)
    (row,) = validity.grading({"every": {"figures": {"gated_seconds": {"median": 12.0, "slowest": 46.0}}}})
    assert not row.reached
    assert list(validity.grading({"every": {"figures": {"load_before": 2.0}}})) == []
