"""Batches: every submission gets its own record, a killed run goes on, nothing that was done changes."""

import contextlib
import csv
import io
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import ExportApp

from autograder import samples, travel
from autograder.adapters import table
from autograder.cli.main import main
from autograder.exercises.conditioner import EXERCISE
from autograder.grading import batch, provenance, submission
from autograder.grading.grader import Grader
from autograder.grading.judging import judge_notebook
from autograder.grading.results import NotebookResult, record

ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "exercises"
# Wrong answers that take seconds: no training, and no waiting for a time limit.
QUICK = ("carl-ignores-label", "dana-first-label", "finn-forger", "nina-nan", "otto-not-a-notebook", "zoe-blank")


def words(submitted, out, *more):
    return [str(w) for w in ("grade", submitted, "--out", out, "--course", ROOT, "--notebook", samples.EXERCISE, *more)]


def grade(submitted, out, *more):
    """`autograder grade` in this process, which has torch already; what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        main(words(submitted, out, *more))
    return said.getvalue()


def result(out, student):
    return json.loads((out / student / samples.ASSIGNMENT / "results.json").read_text(encoding="utf-8"))


def without_timings(rec):
    for n in rec["extra_data"]["notebooks"].values():
        n.pop("timings")
    return rec


@pytest.fixture(scope="module")
def submitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course") / "submitted"
    samples.write(folder, RELEASED, QUICK)
    nina = folder / "nina-nan" / samples.ASSIGNMENT / samples.NOTEBOOK  # prints what she was asked
    text = nina.read_text(encoding="utf-8")
    nina.write_text(text.replace("return h *", "print(h.sum().item()); return h *"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def graded(submitted, tmp_path_factory):
    out = tmp_path_factory.mktemp("grades")
    return out, grade(submitted, out, "--seed", 3, "--jobs", 2)


EXPECTED = {  # outcome, and words of the reason
    "carl-ignores-label": ("graded", "does not depend on the label"),
    "dana-first-label": ("graded", "depends on other samples of the batch"),
    "nina-nan": ("graded", "not finite"),
    "finn-forger": ("crash", "ended with exit status 0 and gave no result"),
    "zoe-blank": ("missing", "still holds the stub"),
    "otto-not-a-notebook": ("missing", "not a notebook"),
}


@pytest.mark.parametrize("student", EXPECTED)
def test_each_wrong_sample_fails_for_its_own_reason(graded, student):
    rec = result(graded[0], student)
    outcome, words = EXPECTED[student]
    assert rec["extra_data"]["outcome"] == rec["extra_data"]["notebooks"]["conditioner"]["outcome"] == outcome
    assert words in rec["extra_data"]["notebooks"]["conditioner"]["reason"]
    assert rec["score"] <= 0.5 * rec["max_score"]
    assert rec["max_score"] == 20 and sum(t["max_score"] for t in rec["tests"]) == 20
    assert sum(t["score"] for t in rec["tests"]) == pytest.approx(rec["score"])
    assert all(t["name"].startswith("conditioner: ") for t in rec["tests"])
    gate = rec["tests"][-1] if rec["tests"][-1]["name"].endswith("gate") else None
    assert gate is None or gate["score"] == 0


def test_csv_report_and_gradebook(graded):
    out, stdout = graded
    lines = list(csv.DictReader((out / "grades.csv").open(encoding="utf-8")))
    assert [x["student"] for x in lines] == sorted(QUICK)
    assert {x["adherence"] for x in lines} == {""}  # nothing was trained
    assert all(student in (out / "report.html").read_text(encoding="utf-8") and student in stdout for student in QUICK)
    with contextlib.chdir(ROOT):  # `nbgrader export`, with the settings that it finds here
        app = ExportApp()
        app.initialize(["--to", str(out / "x.csv"), "--db", f"sqlite:///{out / 'gradebook.db'}"])
        app.start()
    scores = {x["student_id"]: x["score"] for x in csv.DictReader((out / "x.csv").open(encoding="utf-8"))}
    assert scores == dict.fromkeys(QUICK, "")  # no total while the assignment's other notebooks are not graded
    with Gradebook(f"sqlite:///{out / 'gradebook.db'}") as gb:
        entries = {s: gb.find_submission_notebook(samples.EXERCISE, samples.ASSIGNMENT, s) for s in QUICK}
        assert {s: e.score for s, e in entries.items()} == {x["student"]: float(x["score"]) for x in lines}


def test_grading_again_keeps_every_record_byte_for_byte(graded, submitted):
    out, _ = graded
    before = {s: (out / s / samples.ASSIGNMENT / "results.json").read_bytes() for s in QUICK}
    grade(submitted, out)  # without --seed: the batch's own is kept
    assert {s: (out / s / samples.ASSIGNMENT / "results.json").read_bytes() for s in QUICK} == before


def test_the_same_seed_gives_the_same_records_whatever_the_jobs(graded, submitted, tmp_path):
    out, _ = graded
    few = ("finn-forger", "nina-nan", "zoe-blank")  # two that need a child, and one that needs none
    for s in few:
        shutil.copytree(submitted / s, tmp_path / "few" / s)
    grade(tmp_path / "few", tmp_path / "out", "--seed", 3, "--jobs", 1)
    for s in few:
        assert without_timings(result(tmp_path / "out", s)) == without_timings(result(out, s))
    said = [(f / "nina-nan" / samples.ASSIGNMENT / "instructor.json").read_text() for f in (out, tmp_path / "out")]
    seen = [json.loads(text)["conditioner"]["printed"].splitlines() for text in said]
    assert seen[0] == seen[1] and len(set(seen[0])) > 3  # the same questions


def no_judge(exercise, seed, sandboxed):
    """In place of a grader with a classifier, which takes a second to load."""
    return Grader(None, {}, seed, sandboxed)


def stand_in(picture):
    """What takes no time in place of judging."""

    def judge(exercise, s, grader, folder, tell):
        if picture:
            (folder / "conditioner.png").write_bytes(b"a picture")
        return NotebookResult(exercise, "graded", "A stand-in.")

    return judge


def test_a_regrade_leaves_nothing_of_the_old_record(submitted, tmp_path, monkeypatch):
    (zoe,) = batch.find(submitted, student="zoe-blank", only=(samples.EXERCISE,))
    monkeypatch.setattr(batch, "make_grader", no_judge)
    monkeypatch.setattr(submission, "grade_notebook", stand_in(picture=True))
    first = batch.grade([zoe], tmp_path, 1, progress=False)
    assert (zoe.records(tmp_path) / "conditioner.png").is_file()
    monkeypatch.setattr(submission, "grade_notebook", stand_in(picture=False))
    assert batch.grade([zoe], tmp_path, 1, progress=False) == first  # nothing has changed: not judged again
    second = batch.grade([zoe], tmp_path, 2, progress=False)
    assert sorted(p.name for p in zoe.records(tmp_path).iterdir()) == ["instructor.json", "results.json"]
    assert second != first


def test_a_record_tells_what_it_depends_on_apart(submitted, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "make_grader", no_judge)
    monkeypatch.setattr(submission, "grade_notebook", stand_in(picture=False))
    shutil.copytree(submitted / "zoe-blank", tmp_path / "s" / "zoe-blank")
    (zoe,) = batch.find(tmp_path / "s", only=(samples.EXERCISE,))

    def hashes(seed):
        (rec,) = batch.grade([zoe], tmp_path / "o", seed, progress=False)
        assert rec["extra_data"]["key"] == provenance.key(rec["extra_data"]["hashes"])
        return rec["extra_data"]["hashes"]

    before = hashes(1)
    changed = {"settings": hashes(2)}
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "grader_hash", lambda: "of another version")
        changed["grader"] = hashes(1)
    zoe.files["conditioner"].write_text("{}")
    changed["submission"] = hashes(1)
    for name, after in changed.items():
        assert [k for k in before if after[k] != before[k]] == [name]


REACHES = (  # a check, a gate's settings, the child, the sandbox, the library, limits, a solution that is supplied
    *("autograder/exercises/schedules/noising.py", "autograder/exercises/prediction/gate.py"),
    *("autograder/exercises/ema/questions.py", "autograder/child/functions.py", "autograder/child/blocks.py"),
    *("autograder/child/runner.py", "autograder/gate/bands.py", "autograder/grading/judging.py"),
    *("autograder/sandbox/limits.py", "autograder/sandbox/bubblewrap.py", "autograder/intake/extract.py"),
    *("ddpm_core/unet.py", "ddpm_core/data.py", "ddpm_core/layers.py", "data/gates/prediction.json"),
    "solutions/5_3_conditioning/adagn.ipynb",
)
REACHES_NOT = (
    *("autograder/adapters/report/entries.py", "autograder/adapters/table.py", "autograder/adapters/gradescope.py"),
    *("autograder/cli/main.py", "autograder/cli/grade.py", "autograder/challenges/leaderboard.py"),
    *("autograder/travel.py", "autograder/grading/batch.py", "autograder/grading/cluster.py"),
    *("autograder/grading/progress.py", "autograder/gate/plot.py", "autograder/sandbox/kernel.py"),
    "autograder/authoring/calibrate.py",
    *("autograder/exercises/ema/mutants.txt", "autograder/exercises/prediction/references.txt"),
    *("ddpm_core/plots.py", "ddpm_tools/reports/html.py", "data/gates/threads.json", "docs/instructors.md"),
    "solutions/5_2_guidance/label_dropout.ipynb",
)


def test_the_graders_hash_covers_what_can_change_a_grade_and_nothing_else(tmp_path):
    for name in ("autograder", "ddpm_core", "ddpm_tools", "data/gates", "solutions", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    fresh = provenance.grader_hash.__wrapped__
    before = fresh(tmp_path)
    assert before == provenance.grader_hash()
    for name in (*REACHES, *REACHES_NOT):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content + b"\n")
        assert (fresh(tmp_path) != before) == (name in REACHES), name
        (tmp_path / name).write_bytes(content)
    (tmp_path / "autograder/exercises/ema/more.py").write_text("1")  # a file of an exercise needs no other's import
    assert fresh(tmp_path) != before
    assert all(file.suffix in (".py", ".json", ".ipynb") for file in travel.decisive(tmp_path))


def test_a_changed_submission_is_graded_anew_and_the_others_are_not(graded, submitted, tmp_path):
    out, _ = graded
    mine = tmp_path / "submitted"
    shutil.copytree(submitted, mine)
    shutil.copytree(out, tmp_path / "grades")
    notebook = mine / "zoe-blank" / samples.ASSIGNMENT / samples.NOTEBOOK
    notebook.write_text(samples.notebook("finn-forger", RELEASED), encoding="utf-8")
    before = {s: (tmp_path / "grades" / s / samples.ASSIGNMENT / "results.json").stat().st_mtime_ns for s in QUICK}
    grade(mine, tmp_path / "grades")
    changed = [
        s
        for s in QUICK
        if (tmp_path / "grades" / s / samples.ASSIGNMENT / "results.json").stat().st_mtime_ns != before[s]
    ]
    assert changed == ["zoe-blank"]
    assert result(tmp_path / "grades", "zoe-blank")["extra_data"]["outcome"] == "crash"


def test_a_hang_costs_its_time_limit_and_nothing_else(tmp_path):
    samples.write(tmp_path, RELEASED, ("eve-endless-loop",))
    path = tmp_path / "eve-endless-loop" / samples.ASSIGNMENT / samples.NOTEBOOK
    grader = batch.make_grader(EXERCISE, 0, check_s=3.0)
    start = time.monotonic()
    outcome, _ = judge_notebook(EXERCISE, path, grader)
    assert outcome.outcome == "timeout" and "no result within 3 s" in outcome.reason
    assert time.monotonic() - start < 60  # by the clock a limit ends ten times later, on a machine as busy as can be
    assert outcome.score < 5


def test_an_imported_answer_is_its_own_outcome(tmp_path):
    nb = json.loads(samples.notebook("carl-ignores-label", RELEASED))
    for cell in nb["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "ClassConditioner":
            cell["source"] = "from ddpm_core.conditioning import GatedModulation as ClassConditioner\n"
    path = tmp_path / "conditioner.ipynb"
    path.write_text(json.dumps(nb), encoding="utf-8")
    outcome, _ = judge_notebook(EXERCISE, path, batch.make_grader(EXERCISE, 0))
    assert outcome.code == "imported_answer" and outcome.score == 0
    assert "write it yourself" in outcome.reason


def test_an_infrastructure_error_is_never_a_zero_and_never_kept(graded, submitted, tmp_path, monkeypatch):
    n = NotebookResult(EXERCISE, "infrastructure_error", "The disk is full.")
    rec = record("ada", samples.ASSIGNMENT, [n])
    assert rec["score"] is None and rec["extra_data"]["outcome"] == "infrastructure_error" and rec["tests"] == []
    submissions = batch.find(submitted, student="zoe-blank")

    def broken(*args):
        raise OSError("no space left")

    monkeypatch.setattr(submission, "judge_notebook", broken)
    assert batch.grade(submissions, tmp_path, 0, progress=False)[0]["score"] is None
    monkeypatch.undo()
    assert batch.grade(submissions, tmp_path, 0, progress=False)[0]["extra_data"]["outcome"] == "missing"


@pytest.mark.parametrize(
    "make,more,says",
    [
        (lambda p: None, (), "there is no folder"),
        (lambda p: p.mkdir(), (), "no submission in"),
        (lambda p: p.mkdir(), ("--assignment", "9_9"), "unknown assignment '9_9'; known: 5_1_unconditional"),
        (lambda p: p.mkdir(), ("--notebook", "9_9"), "unknown notebook '9_9'; known: schedules, "),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path, capsys, make, more, says):
    make(tmp_path / "s")
    with pytest.raises(SystemExit) as end:
        main(words(tmp_path / "s", tmp_path / "o", *more))
    said = capsys.readouterr().err
    assert end.value.code == 2 and says in said and len(said.strip().splitlines()) == 1


def test_the_command_ends_with_one_sentence_and_nothing_else(tmp_path):
    """In a process of its own: what is said while it loads and ends is heard, too."""
    argv = [sys.executable, "-m", "autograder.cli", *words(tmp_path / "s", tmp_path / "o")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.strip().splitlines()) == 1
    assert "there is no folder" in done.stderr


def test_two_graders_do_not_write_to_one_folder(tmp_path):
    with batch.only_one(tmp_path):
        with pytest.raises(ValueError, match="another `autograder grade` is writing"):
            with batch.only_one(tmp_path):
                pass


def test_a_cell_is_never_a_formula():
    assert [table.harmless(c) for c in ("=1+1", "@x", "ada", "")] == ["'=1+1", "'@x", "ada", ""]


def test_limits_are_far_from_what_right_answers_need():
    limits = Grader.__dataclass_fields__["limits"].default_factory()
    assert limits.wall_s >= 200 and limits.memory_bytes <= 2 << 30
