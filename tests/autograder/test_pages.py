"""What students and files bring along never acts in a page: every text goes through the templates' autoescape."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from autograder import demo
from autograder.adapters import report
from autograder.adapters.similarity import formats
from autograder.adapters.similarity.compare import Match, Source
from autograder.challenges import leaderboard, leaderboard_formats
from autograder.challenges.tracks import TRACKS
from autograder.exercises import EXERCISES
from autograder.grading.results import NotebookResult, Test, record
from autograder.intake.problems import Problem
from ddpm_core.data import digits
from ddpm_tools import reports
from ddpm_tools.diagnosis import report as diagnosis
from ddpm_tools.diagnosis.verdict import Verdict
from ddpm_tools.evaluation.estimates import Estimate
from ddpm_tools.evaluation.evaluation import ClassRow
from ddpm_tools.evaluation.results import MetricResult, Provenance
from ddpm_tools.reports import evaluation_page, html

ROOT = Path(__file__).resolve().parents[2]
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"


def evil_records():
    """Hostile text wherever a record holds text: names, reasons, messages."""
    exercise = EXERCISES["5_3_conditioning", "conditioner"]
    found = []
    for i, (outcome, points) in enumerate([("graded", 0.0), ("graded", 0.0), ("crash", 0.0), ("missing", 0.0)]):
        result = NotebookResult(exercise, outcome, EVIL, timings={"total": 1.0})
        result.tests = [Test(c.name, points, c.points, f"{EVIL}{j}") for j, c in enumerate(exercise.checks)]
        result.tests.append(Test("reference gate", 0.0, exercise.gate_points, EVIL))
        result.metrics = {"adherence": 0.5, "distance": 9.0, "heldout_loss": 0.2, "copies": 0.0}
        found.append(record(f"{EVIL}{i}", exercise.assignment, [result], sandboxed=False))
    return found


def class_report(out):
    return report.write(evil_records(), out, [Problem(EVIL, EVIL, EVIL)])


def demo_page(out):
    about = {"w": 1.0, "n": EVIL, "steps": EVIL, "weights": EVIL, "seed": EVIL, "extractor": EVIL, "reference": EVIL}
    metric = {"value": 1.0, "low": 0.0, "high": 2.0}
    sweep = json.dumps([{"about": about, "adherence": metric, "distance": metric, "diversity": metric}])
    for folder in (out, out / "cifar10"):
        folder.mkdir(exist_ok=True)
        (folder / "sweep.json").write_text(sweep)
        (folder / "interpolate_<script>.png").write_bytes(b"")
    (out / "cifar10/model.json").write_text(json.dumps({"note": EVIL}))
    return demo.write_page(out, evil_records())


def similarity(out):
    match = Match(Source(EVIL, EVIL), Source(f"b{EVIL}", f"x = 1{EVIL}"), 1.0, 1.0, ((2, 20),), ((0, 8),))
    course = replace(match, b=replace(match.b, ours=True))
    found = [("5_3_conditioning", EVIL, match), ("5_3_conditioning", EVIL, course)]
    counts = {"threshold": 0.8, "compared": 2, "short": 1, "left_out": [EVIL], "longest": 1}
    return formats.write_html(found, out / "similarity.html", **counts)


def challenges(out):
    row = replace(leaderboard.rows(TRACKS["prediction"])[0], entry=EVIL, kind=EVIL, against=EVIL)
    return leaderboard_formats.write_html({"prediction": [row]}, out, {"prediction": [EVIL]}, EVIL)


def evaluation(out):
    about = Provenance(EVIL, 20, EVIL, 0, 5, 1.0, EVIL)
    results, e = [MetricResult("frechet", Estimate(1, 0, 2), about)], Estimate(1.0, 0.5, 1.0)
    images = digits().images[:20]
    judged = SimpleNamespace(
        labels=torch.arange(20) % 2, seen=SimpleNamespace(images=images), confusion=torch.ones(2, 2).long(),
        per_class=[ClassRow(EVIL, 10, e, e)], by_n=None, neighbours=None, notes=[EVIL],
    )  # fmt: skip
    data = SimpleNamespace(classes=(EVIL, "b"), images=images)
    return evaluation_page.write(out, results, judged, data, 0.1, {EVIL: EVIL}, EVIL)


def diagnose(out, monkeypatch):
    monkeypatch.setattr(diagnosis, "draw", lambda *a: None)
    monkeypatch.setattr(diagnosis, "save", lambda picture, path: path)
    monkeypatch.setattr(diagnosis, "reasons", lambda: [EVIL])
    made = diagnosis.Report(None, Verdict("x", "training", EVIL, EVIL), None)
    monkeypatch.setattr(diagnosis.Report, "rows", lambda self: [(EVIL, EVIL, EVIL)])
    return made.write(out)[0]


PAGES = {f.__name__: f for f in (class_report, demo_page, similarity, challenges, evaluation, diagnose)}


@pytest.mark.parametrize("name", PAGES)
def test_hostile_text_is_shown_and_never_acts(name, tmp_path, monkeypatch):
    page = PAGES[name](tmp_path, *([monkeypatch] if name == "diagnose" else []))
    text = page.read_text(encoding="utf-8")
    script = (html.TEMPLATES / "filter.js").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text  # it is there, as text
    assert "alert(1)</script>" not in text and "<img src=x" not in text
    assert text.count("<script") == text.count(f"<script>{script}</script>") <= 1  # the filter's own
    assert "default-src 'none'" in text and "script-src 'sha256-" in text


def test_every_page_is_among_them():
    """A template that nobody feeds hostile text would be noticed here."""
    folders = (reports.__path__[0], ROOT / "autograder/adapters", ROOT / "autograder/challenges")
    pages = {p.name for f in folders for p in (Path(f) / "templates").glob("*.html")}
    shared = {"page.html", "parts.html", "widgets.html"}
    made = {"class_report.html", "demo.html", "demo_with_grades.html", "similarity.html", "leaderboard.html",
            "evaluation.html", "diagnosis.html"}  # fmt: skip
    others = {"question.html"}  # PrairieLearn's, which holds the name of an exercise and nothing from a student
    assert pages == shared | made | others


def test_templates_are_package_data():
    """An installed copy has them too: each lies in a folder that pyproject.toml's package-data names."""
    import tomllib

    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setuptools["package-data"]["*"]
    found = [p for name in ("ddpm_core", "ddpm_tools", "autograder") for p in (ROOT / name).rglob("templates/*")]
    assert len(found) > 10
    for path in found:
        package = path.parent.parent
        assert any(path.relative_to(package).match(p) for p in patterns) and (package / "__init__.py").is_file(), path
