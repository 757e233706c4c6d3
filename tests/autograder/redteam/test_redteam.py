"""Attacks from inside submitted notebooks, through the grader's own path: nothing gained, nothing read, nothing broken.

Each attack stands beside a wrong answer, and must score no better than the same answer without it. Three answers are
judged in one child, so three attacks help each other. In attacks/wire.py the runner itself is the attacker's.
"""

from __future__ import annotations

import importlib.util
import json
import runpy
import time
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.cli import grade
from autograder.cli.main import parser
from autograder.exercises import EXERCISES
from autograder.grading import batch
from autograder.grading.judging import judge_notebook
from autograder.grading.results import OUTCOMES, record
from autograder.sandbox import session
from autograder.sandbox.limits import Limits

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("redteam_world", HERE / "world.py")
spec.loader.exec_module(world_module := importlib.util.module_from_spec(spec))
SCHEDULES = EXERCISES["5_1_unconditional", "schedules"]


def attacks(theme: str) -> dict:
    return runpy.run_path(str(HERE / "attacks" / f"{theme}.py"))["ATTACKS"]


ANSWERS = attacks("forgery") | attacks("escape")
WIRE, GATED, RESOURCES = attacks("wire"), attacks("gated"), attacks("resources")
LEARNING = attacks("learning")
WRONG = {  # some checks hold, most do not
    "linear_beta_schedule": "def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=0.02):\n"
    "    return torch.full((timesteps,), 0.01)\n",
    "cosine_beta_schedule": "def cosine_beta_schedule(timesteps, s=0.008):\n"
    "    return torch.full((timesteps,), 0.01)\n",
    "q_sample": "def q_sample(x_0, t, noise, alphas_cumprod):\n    return x_0\n",
}
BASE = {"linear_beta_schedule_checks": 1.25, "cosine_beta_schedule_checks": 0.5, "q_sample_checks": 1.0}
BUNDLES = [list(ANSWERS)[i : i + 3] for i in range(0, len(ANSWERS), 3)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = world_module.World(tmp_path_factory.mktemp("course"))
    yield made
    made.close()


def submit(folder: Path, name: str, cells: dict[str, str]) -> Path:
    made = [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": n}}, "source": s} for n, s in cells.items()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ipynb").write_text(json.dumps({"cells": made, "nbformat": 4}), encoding="utf-8")
    return folder / f"{name}.ipynb"


def judged(path: Path, world, exercise=SCHEDULES, **changes):
    """The result, after what must hold whatever happened."""
    grader = batch.make_grader(exercise, 7, **changes)
    result, _ = judge_notebook(exercise, path, grader)
    told = json.dumps([record("mallory", exercise.assignment, [result]), result.instructor], ensure_ascii=False)
    world_module.told(told)
    world.unharmed()
    assert result.outcome in OUTCOMES and result.outcome != "infrastructure_error", result.reason
    for test in result.tests:
        assert test.output.isprintable() and len(test.output) < 1200
    return result


def test_there_are_enough_attacks():
    assert len(ANSWERS) + len(WIRE) + len(GATED) + len(LEARNING) + len(RESOURCES) + len(NAMES) >= 67


def test_the_wrong_answers_score_what_they_are_compared_with(world, tmp_path):
    assert judged(submit(tmp_path, "schedules", WRONG), world).cells() == BASE


@pytest.mark.parametrize("names", BUNDLES, ids=" + ".join)
def test_no_answer_gains_by_what_stands_beside_it(names, world, tmp_path, got):
    cells = dict(WRONG)
    for answer, name in zip(WRONG, names):
        source = world.fill(f"print({'ran: ' + name!r})\n{ANSWERS[name]}").replace("BASE", WRONG[answer])
        cells[answer] = source.replace("NAME_TEXT", repr(answer)).replace("NAME", answer)
    result = judged(submit(tmp_path, "schedules", cells), world, check_s=8.0)
    for cell, points in result.cells().items():
        assert points <= BASE[cell], (cell, [t for t in result.tests if t.passed], result.instructor["printed"])
    for name, cell in zip(names, BASE):
        got(name, result.cells()[cell] - BASE[cell])
    assert [name for name in names if f"ran: {name}" not in result.instructor["printed"]] == []


RUNNER = """
import ctypes, json, os, signal, struct, subprocess, sys, threading, time
blob = b""
def frame(header, blob=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">IQ", len(text), len(blob)) + text + blob
def send(data):
    while data:
        data = data[os.write(answers, data):]
def exactly(n):
    data = b""
    while len(data) < n:
        part = os.read(0, min(1 << 20, n - len(data)))
        if not part: sys.exit(0)
        data += part
    return data
def ask():
    global blob
    text, size = struct.unpack(">IQ", exactly(12))
    header = json.loads(exactly(text))
    blob = exactly(size)
    return header
def last_blob():
    return blob
def tensor(shape, dtype, data):
    index = json.dumps({"out": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(index)) + index + data
def many(n):
    index = json.dumps({str(i) * 9: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(n)}).encode()
    return struct.pack("<Q", len(index)) + index
answers = os.dup(1)
os.dup2(2, 1)
send(frame({"ready": True}))
"""
# one answer is enough: each that dies takes a child of its own
ONE = replace(SCHEDULES, answers=("q_sample",), checks=SCHEDULES.checks_of("q_sample"))


SMALL = Limits(memory_bytes=256 << 20)


@pytest.mark.parametrize("name", WIRE)
def test_no_message_gains_anything(name, world, tmp_path, monkeypatch, got):
    body, outcomes = WIRE[name]

    def stage(exercise, folder):
        folder.mkdir()
        (folder / "runner.py").write_text(RUNNER + world.fill(body))
        return folder

    monkeypatch.setattr(session, "stage", stage)
    start, patience = time.monotonic(), 1.5 if "timeout" in outcomes else 15.0  # a busy machine is no verdict
    result = judged(submit(tmp_path, "schedules", WRONG), world, ONE, check_s=patience, limits=SMALL)
    assert result.outcome in outcomes, result.reason
    assert result.score <= BASE["q_sample_checks"], [t for t in result.tests if t.passed]
    took = time.monotonic() - start
    assert took < 40
    got(name, result.score - BASE["q_sample_checks"], f"{took:.1f} s, outcome {result.outcome}")


# --- a batch: names, and who suffers ------------------------------------------------------------------------------

NAMES = {  # submitted folder: the id in the record
    "autograded": "autograded",
    "grades.csv": "grades.csv",
    "gradebook.db": "gradebook.db",
    "run.json": "run.json",
    ".hidden": ".hidden",
    "..": None,  # cannot be made
    "..%2f..%2fetc": "..%2f..%2fetc",
    "%2Ehidden": "%2Ehidden",
    'o\'neil; rm -rf "$HOME" `id` $(id)': 'o\'neil; rm -rf "$HOME" `id` $(id)',
    "line\nend\t\x1b[2J": "line%0Aend%09%1B[2J",
    "=1+1": "=1+1",
    "<script>alert(1)</script>".replace("/", "∕"): "<script>alert(1)<∕script>",
    "x" * 255: "x" * 255,
    "\u202egpj.exe": "%E2%80%AEgpj.exe",
    b"\xff\xfe".decode("utf-8", "surrogateescape"): "%FF%FE",
    " ": " ",
    "ada": "ada",
}


def test_names_and_neighbours(world, tmp_path, capsys, monkeypatch, got):
    """One batch: odd names, three answers that take what they can, links to another's work, and one honest student."""
    submitted, out = tmp_path / "submitted", tmp_path / "out"
    solution = world_module.REPO / "solutions/5_1_unconditional/schedules.ipynb"
    for name in NAMES:
        if name not in ("..", "ada"):
            (submitted / name / "5_1_unconditional").mkdir(parents=True)
    (submitted / "ada/5_1_unconditional").mkdir(parents=True)
    nb = json.loads(solution.read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") in WRONG:
            cell["source"] = [*cell["source"], "\n# ada's own work"]
    (submitted / "ada/5_1_unconditional/schedules.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    for i, source in enumerate(RESOURCES.values()):
        submit(submitted / f"mallory{i}/5_1_unconditional", "schedules", {"linear_beta_schedule": source})
    (submitted / "copier").symlink_to(submitted / "ada")
    (submitted / "linker").mkdir()
    (submitted / "linker/5_1_unconditional").symlink_to(submitted / "ada/5_1_unconditional")
    with (submitted / "ada/5_1_unconditional/ddim.ipynb").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file: as long as 200 million notebooks, and as large as none
    make = batch.make_grader
    monkeypatch.setattr(batch, "make_grader", lambda *a, **k: make(*a, **k, check_s=8.0))
    options = ["--assignment", "5_1_unconditional", "--jobs", "2", "--seed", "3"]
    records = grade.grade_folder(parser().parse_args(["grade", str(submitted), "--out", str(out), *options]))
    by_name = {r["extra_data"]["student"]: r for r in records}
    expected = {v for v in NAMES.values() if v} | {"mallory0", "mallory1", "mallory2", "copier", "linker"}
    assert set(by_name) == expected and len(records) == len(expected)
    assert by_name["ada"]["extra_data"]["notebooks"]["schedules"]["score"] == 10
    assert "larger than 20 MB" in by_name["ada"]["extra_data"]["notebooks"]["ddim"]["reason"]
    for name, rec in by_name.items():
        mine = rec["extra_data"]["notebooks"]["schedules"]
        assert mine["outcome"] in OUTCOMES and mine["outcome"] != "infrastructure_error", mine
        assert name == "ada" or mine["score"] <= BASE["linear_beta_schedule_checks"], (name, mine)
    for i, attack in enumerate(RESOURCES):
        got(attack, by_name[f"mallory{i}"]["score"] - BASE["linear_beta_schedule_checks"])
    for name in ("copier", "linker"):
        got(f"a linked folder: {name}", by_name[name]["score"])
        assert "is a link" in by_name[name]["extra_data"]["notebooks"]["schedules"]["reason"]
        shown = out / "autograded" / name / "5_1_unconditional/schedules.ipynb"
        assert "ada's own work" not in shown.read_text(encoding="utf-8")
    assert "ada's own work" in (out / "autograded/ada/5_1_unconditional/schedules.ipynb").read_text(encoding="utf-8")
    assert "processor time" in str(by_name["mallory0"]) or by_name["mallory0"]["score"] <= 1.25
    assert "should only contain the definition" in by_name["mallory1"]["extra_data"]["notebooks"]["schedules"]["reason"]
    assert "of memory" in by_name["mallory2"]["extra_data"]["notebooks"]["schedules"]["reason"]
    # each has a folder of records of its own, inside the output folder; a second run finds all of them again
    assert len(list(out.glob("*/5_1_unconditional/results.json"))) == len(expected)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "submitted"]
    graders = {e.name: batch.make_grader(e, 3) for e in EXERCISES.values() if e.assignment == "5_1_unconditional"}
    assert all(batch.existing(s, graders, out) for s in batch.find(submitted, "5_1_unconditional"))
    assert {r["extra_data"]["student"] for r in batch.all_records(out)} == expected
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "‮" not in said.out + said.err
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "'=1+1" in (out / "grades.csv").read_text(encoding="utf-8")
    assert (out / "gradebook.db").is_file()
    assert "'.hidden' cannot be stored safely; rename" in said.err
    world.unharmed()


def test_a_student_cannot_look_up_the_next_questions(tmp_path):
    """The checks travel with the bundle; with the seed of a batch anybody could answer from a table."""
    path = tmp_path / "s/eve/5_1_unconditional"
    path.mkdir(parents=True)
    seeds = {batch.seed_of_batch(tmp_path / str(i), None) for i in range(3)}
    assert len(seeds) == 3 and max(seeds) > 2**48
    rec = batch.grade(batch.find(tmp_path / "s"), tmp_path, 123454321, progress=False)[0]
    assert "123454321" not in json.dumps(rec)
    assert "123454321" in (tmp_path / "eve/5_1_unconditional/instructor.json").read_text()
