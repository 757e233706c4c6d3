"""The class report, of made-up classes of 1, 7 and 300 students whose numbers are known beforehand."""

import csv
import json
import random
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from autograder.adapters import asked, report, table
from autograder.adapters.classlist import Person
from autograder.adapters.report import class_results
from autograder.adapters.report.entries import entries
from autograder.adapters.report.gates import axes, gate
from autograder.adapters.report.needs import needs
from autograder.adapters.report.notes import Late, Notes, flags
from autograder.exercises import EXERCISES
from autograder.gate import plot
from autograder.grading import batch
from autograder.grading.grader import band_file
from autograder.grading.results import NotebookResult, Test, record
from autograder.intake.problems import Problem
from ddpm_core.data import digits
from ddpm_tools.evaluation.plain_classifier import load_classifier

SCHEDULES = ("5_1_unconditional", "schedules")
NASTY = "<script>alert('x')</script>\"&é" + "n" * 200


def made(exercise, wrong=(), absent=(), share=1.0, metrics=None):
    """A judged notebook: `wrong` checks fail, the answers `absent` are still stubs, the gate gets `share`."""
    result = NotebookResult(
        exercise, "graded", "Every check holds.", timings={"total": 3.0, "start": 2.0, "checks": 1.0}
    )
    for c in exercise.checks:
        lost = c.name in wrong or c.answer in absent
        said = f"Not answered: `{c.answer}` still holds the stub." if c.answer in absent else f"Loses: {c.name}."
        result.tests.append(Test(c.name, 0.0 if lost else c.points, c.points, said if lost else "holds"))
    if exercise.gate_cell:
        result.tests.append(Test("reference gate", exercise.gate_points * share, exercise.gate_points, "as measured"))
        result.metrics = metrics or {"adherence": 0.9, "distance": 4.0, "heldout_loss": 0.3, "copies": 0.01}
    result.reason = next((t.output for t in result.tests if not t.passed), result.reason)
    return result


def class_of(n, seed=0):
    """Records of n students and all exercises; misconceptions repeat, and every kind of outcome occurs."""
    dice, records = random.Random(seed), []
    for i in range(n):
        student = NASTY if i == 1 else f"{['ada', 'ben', 'carl', 'dana', 'eve'][i % 5]}-{i:03d}"
        by_assignment = {}
        for (assignment, _), e in EXERCISES.items():
            fate, luck = dice.random(), dice.random()
            names = [c.name for c in e.checks]
            if fate < 0.02:
                outcome = ("timeout", "crash", "invalid_output", "infrastructure_error")[dice.randrange(4)]
                result = NotebookResult(
                    e, outcome, "The answer gave no result within 20 s.", timings={"total": 40 * luck}
                )
            elif fate < 0.05:
                result = NotebookResult(e, "missing", "Not answered: it still holds the stub.")
            elif fate < 0.35:
                a = dice.randrange(3)
                metrics = {"adherence": luck, "distance": 3 + 20 * luck, "heldout_loss": 0.2 + luck, "copies": 0.02}
                result = made(e, names[2 + a : 4 + 2 * a], share=dice.choice((0, 0.5, 1)), metrics=metrics)
            else:
                metrics = {"adherence": 0.8 + luck / 5, "distance": 3 + luck, "heldout_loss": 0.1, "copies": 0.01}
                result = made(e, metrics=metrics)
            result.timings["total"] = result.timings.get("total", 0.3) * (1 + luck)
            by_assignment.setdefault(assignment, []).append(result)
        records += [record(student, a, notebooks, sandboxed=True) for a, notebooks in by_assignment.items()]
    return records


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """One picture of a gate as the grader draws it."""
    file = tmp_path_factory.mktemp("gate") / "conditioner.png"
    judge = load_classifier(batch.JUDGES["judge"])
    order = torch.stack([torch.nonzero(digits().labels == k)[:100, 0] for k in range(10)], 1).flatten()
    images = digits().floats()[order]
    metrics = {"adherence": 0.9, "distance": 4.0, "heldout_loss": 0.3, "copies": 0.01}
    conditioner = EXERCISES["5_3_conditioning", "conditioner"]
    return plot.save(file, band_file(conditioner), "judge", metrics, images, judge)


class Reader(HTMLParser):
    """Collects tags and text; an unbalanced page raises."""

    VOID = ("meta", "img", "input", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.sources = [], Counter(), [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.sources += [v for k, v in attributes if k in ("src", "href")]
        assert not any(k.startswith("on") for k, _ in attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("n", [1, 7, 300])
def test_a_class_of_any_size_makes_one_whole_file(n, tmp_path, picture):
    records = class_of(n)
    for e in entries(records)[:400]:
        if e.metrics:
            (tmp_path / e.picture).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, tmp_path / e.picture)
    file = report.write(records, tmp_path)
    text = file.read_text(encoding="utf-8")
    page = Reader(text)
    assert file.stat().st_size < 8_000_000
    assert all(s.startswith(("data:image/webp;base64,", "#")) for s in page.sources)  # nothing lies elsewhere
    assert not re.search(r"https?://|/work/|@import|url\(", text)
    assert "alert('x')" not in text and page.tags["script"] == 1  # the name is shown as text
    if n > 1:
        assert any(NASTY in part for part in page.text)
    assert page.tags["img"] > 0
    assert f"{n:,}" in page.text


def test_numbers_are_those_of_the_class():
    e = EXERCISES[SCHEDULES]
    minus = "q_sample: the noise is scaled by sqrt(1 - abar)"
    two = ("q_sample: each image has its own timestep", minus)
    results = [
        made(e),
        made(e, wrong=[minus]),
        made(e, wrong=[minus]),
        made(e, wrong=two),
        made(e, absent=["q_sample"]),
    ]
    results += [
        NotebookResult(e, "infrastructure_error", "The disk is full."),
        NotebookResult(e, "missing", "No file."),
    ]
    found = entries([record(f"s{i}", SCHEDULES[0], [r]) for i, r in enumerate(results)])

    groups = class_results.misconceptions(found)
    assert [(m.answer, m.failed, m.students) for m in groups] == [
        ("q_sample", (minus,), ("s1", "s2")),
        ("q_sample", two[::-1] if list(e_names(e)).index(two[1]) < list(e_names(e)).index(two[0]) else two, ("s3",)),
    ]
    by_name = {c.check: c for c in class_results.checks(found)}
    states = by_name[minus].states
    assert (states["held"], states["failed"], states["not run"]) == (1, 3, 2)  # a stub says nothing about the property
    assert by_name[minus].judged == 4 and by_name[minus].failing == 0.75
    assert by_name["linear_beta_schedule: evenly spaced"].states["held"] == 5
    s = class_results.scores(found)
    assert sum(s.counts) == 6 and s.counts[-1] == 1 and s.counts[0] == 1 and s.without == 1  # 4 points are q_sample's
    assert s.counts[9] == 2 and s.counts[8] == 1 and s.counts[6] == 1
    assert s.median == pytest.approx((0.8 + 0.9) / 2)


def e_names(e):
    return (c.name for c in e.checks)


def test_the_report_tells_what_stands_out(tmp_path):
    e = EXERCISES[SCHEDULES]
    minus = "q_sample: the noise is scaled by sqrt(1 - abar)"
    results = [
        made(e, wrong=[minus]),
        made(e, wrong=[minus]),
        made(e),
        NotebookResult(e, "infrastructure_error", "Full."),
    ]
    records = [record(f"s{i}", SCHEDULES[0], [r], sandboxed=i > 0) for i, r in enumerate(results)]
    text = report.write(records, tmp_path).read_text(encoding="utf-8")
    shown = " ".join(" ".join(Reader(text).text).split())
    assert "67% of 3 answers lose points on it. It is explained in lesson 5.1, “The forward process”." in shown
    assert "is shared by 2 students , in q_sample: the noise is scaled by sqrt(1 - abar)" in shown
    assert "1 without a result" in shown and "s3 schedules infrastructure error Full." in shown
    assert "1 of 4 graded without a sandbox" in shown
    with pytest.raises(ValueError, match="no record to report on"):
        report.write([], tmp_path)


@pytest.mark.parametrize("exercise", [e for e in EXERCISES.values() if e.gate_cell], ids=lambda e: e.name)
def test_the_zones_are_the_limits_that_the_grader_judged_with(exercise):
    """A dot lies in the zone of the credit that the grader gave for its value."""
    limits = batch.make_grader(exercise, 0).bands
    for metric, band in limits.items():
        between = (band.full + band.half) / 2
        for value, credit in ((band.full * 0.99, "held"), (between, "part"), (band.half * 1.01, "failed")):
            metrics = {"adherence": 1.0, "distance": 1.0, "heldout_loss": 0.01, "copies": 0.0}
            metrics |= {"adherence": 1 - value} if metric == "error" else {metric: value}
            (entry,) = entries([record("ada", exercise.assignment, [made(exercise, metrics=metrics)])])
            axis = axes([entry])[list(limits).index(metric)]
            ((at, _, _),) = axis.dots
            assert [name for name, left, width in axis.zones if left <= at <= left + width] == [credit], metric


def test_a_sample_grid_says_when_its_run_ended(picture, tmp_path):
    exercise = EXERCISES["5_3_conditioning", "conditioner"]
    for ended in ("after 200 training steps, at look 2 of 4", ""):
        result = made(exercise, metrics={"adherence": 0.9, "distance": 4.0, "heldout_loss": 0.3, "copies": 0.01})
        result.ended = ended
        rec = record("ada", exercise.assignment, [result])
        if not ended:  # as it was written before runs had several looks
            del rec["extra_data"]["notebooks"]["conditioner"]["gate_ended"]
        (entry,) = entries([rec])
        (tmp_path / entry.picture).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, tmp_path / entry.picture)
        (sample,) = gate([entry], tmp_path).samples
        assert sample.caption == "distance 4.0, adherence 90%" + f", {ended}" * bool(ended)


def test_the_samples_are_cut_out_of_the_gates_picture(picture, tmp_path):
    grid = plot.samples_of(picture, labelled=True)
    assert grid.mode == "L" and grid.size == (89, 89)  # ten digits of eight pixels, and nine lines
    first = [torch.nonzero(digits().labels == k)[j, 0] for k in range(10) for j in range(10)]
    drawn = digits().floats()[first][:, 0].add(1).mul(127.5)  # (100, 8, 8)
    for i, digit in enumerate(drawn):  # every pixel as it was drawn
        top, left = 9 * (i // 10), 9 * (i % 10)
        shown = np.asarray(grid)[top : top + 8, left : left + 8]
        torch.testing.assert_close(torch.from_numpy(shown.astype("float32")), digit, atol=3, rtol=0)
    with pytest.raises(OSError):
        plot.samples_of(tmp_path / "none.png", labelled=True)


def told(needs):
    return {n.title: n.rows for n in needs}


def test_who_needs_the_instructor_comes_first(tmp_path):
    e = EXERCISES[SCHEDULES]
    busy = NotebookResult(e, "timeout", "It took too long.")
    results = {"ada": made(e), "ben": busy, "cy": NotebookResult(e, "missing", "No file."), "di": made(e)}
    results["eve"] = NotebookResult(e, "infrastructure_error", "The disk is full.")
    records = [record(s, SCHEDULES[0], [r]) for s, r in results.items()]
    people = {s: Person(s, s.title(), "X") for s in (*results, "zoe")} | {
        "ada": Person("ada", "Lovelace", "Ada", "", "B1")
    }
    for student, private in (
        ("ada", {"seed": 1, "schedules": {"flags": ["Far too good."]}}),
        ("di", {"flags": ["Twice."]}),
    ):
        (tmp_path / student / SCHEDULES[0]).mkdir(parents=True)
        (tmp_path / student / SCHEDULES[0] / "instructor.json").write_text(json.dumps(private))
    problems = [Problem("mia", "5_9", "no assignment has this name")]
    late = (Late("di", SCHEDULES[0], 3700, 1.5, 86_400), Late("ada", SCHEDULES[0], 90_000, 0.0))
    where = SCHEDULES
    (tmp_path / "in").mkdir()
    asked_for = "student,assignment,reason,answer\nben,5_1,Too busy?,\nada,5_1,Why?,It was right.\n"
    (tmp_path / asked.FILE).write_text(asked_for)
    requests = asked.beside(tmp_path / "in")
    notes = Notes(
        people, late, (("ada", *where), ("di", *where)), (("cy", *where),), flags(records, tmp_path), requests
    )
    text = report.write(records, tmp_path, problems, notes).read_text(encoding="utf-8")
    found = told(needs(entries(records), problems, notes, notes.absent(records)))
    assert found == {
        "without a result": [
            ("Eve, X (eve)", "schedules", "infrastructure error", "The disk is full."),
            ("Ben, X (ben)", "schedules", "timeout", "It took too long."),
        ],
        "to look into": [("mia", "5_9", "no assignment has this name")],
        "flagged by the grader": [
            ("Lovelace, Ada (ada)", "schedules", "Far too good."),
            ("Di, X (di)", SCHEDULES[0], "Twice."),
        ],
        "asked for a regrade": [("Ben, X (ben)", "5_1", "Too busy?")],
        "to be marked by hand": [(f"{SCHEDULES[0]}: schedules", "2", "Di, X (di); Lovelace, Ada (ada)")],
        "flagged in formgrader": [(f"{SCHEDULES[0]}: schedules", "1", "Cy, X (cy)")],
        "late": [
            ("Lovelace, Ada (ada)", SCHEDULES[0], "25 h 0 min late; no penalty"),
            ("Di, X (di)", SCHEDULES[0], "1 h 1 min late after an extension of 24 h 0 min; 1.5 points off"),
        ],
        "handed in nothing": [(SCHEDULES[0], "1", "Zoe, X (zoe)")],
        "without an answer": [("schedules", "1", "Cy, X (cy)")],
    }
    shown = " ".join(" ".join(Reader(text).text).split())
    first = [shown.rindex(f" {title} ") for title in found if title != "late"]
    assert first == sorted(first) and first[-1] < shown.rindex("What stands out")
    assert "Lovelace, Ada (ada), B1: " in shown
    calm = report.write([record("ada", SCHEDULES[0], [made(e)])], tmp_path).read_text(encoding="utf-8")
    assert "Nobody: every notebook has a result, and nothing is pending." in calm


def test_the_tables_have_a_line_for_each_and_for_who_is_absent(tmp_path):
    e = EXERCISES[SCHEDULES]
    results = [made(e), NotebookResult(e, "timeout", "Word " * 100)]
    records = [record(s, SCHEDULES[0], [r]) for s, r in zip(("ada", "ben" * 30), results)]
    lines = table.text(records, 110).splitlines()
    assert lines[0].split() == ["student", "notebook", "outcome", "score", "reason"]  # no column that nobody fills
    assert len(lines) == 4 and max(map(len, lines)) <= 110 and lines[3].endswith("…")
    assert " schedules  timeout " in lines[3]
    table.write_csv(records, tmp_path / "g.csv", [Problem("mia", "5_9", "odd")], {SCHEDULES[0]: ["zoe"]})
    rows = list(csv.DictReader((tmp_path / "g.csv").open(encoding="utf-8")))
    assert [(r["student"], r["notebook"], r["outcome"], r["score"], r["reason"][:20]) for r in rows[2:]] == [
        ("zoe", "schedules", "missing", "0.0", "Nothing was handed i"),
        ("mia", "", "problem", "", "odd"),
    ]


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs the browser that `make tools` installs")
def test_on_a_phone_nothing_is_wider_than_the_screen(tmp_path):
    from playwright.sync_api import sync_playwright

    file = report.write(class_of(12), tmp_path)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        errors = []
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shown = "() => [...document.querySelectorAll('[data-who]')].filter(e => !e.hidden).length"
        everyone = page.evaluate(shown)
        page.fill("#filter", "BEN-006")
        assert (everyone, page.evaluate(shown)) == (24, 2)  # a row of the table and a person's notebooks
        browser.close()
    assert errors == []
