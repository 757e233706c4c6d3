"""Grading again: on request, and by itself what a busy machine starved. Nothing good is lost by it."""

import json
import time
from pathlib import Path

import pytest

from autograder.cli.main import main, parser
from autograder.exercises import EXERCISES
from autograder.grading import batch, submission
from autograder.grading.grader import Grader
from autograder.grading.judging import judge_notebook
from autograder.grading.messages import load_failure
from autograder.grading.results import NotebookResult, Test
from autograder.intake.extract import grade_id
from autograder.sandbox.deadline import Deadline
from autograder.sandbox.limits import BUSY, Failure, Limits

TASK, NOTEBOOK = "5_2_guidance", "label_dropout"
EXERCISE = EXERCISES[TASK, NOTEBOOK]


@pytest.fixture
def submitted(tmp_path, monkeypatch):
    for student in ("ada", "ben", "cy"):
        (tmp_path / "s" / student / TASK).mkdir(parents=True)
        (tmp_path / "s" / student / TASK / f"{NOTEBOOK}.ipynb").write_text("{}")
    monkeypatch.setattr(batch, "make_grader", lambda exercise, seed, sandboxed: Grader(None, {}, seed, sandboxed))
    return tmp_path / "s"


class Judge:
    """In place of judging: what it is told to find, one result after the other, then full marks."""

    def __init__(self, monkeypatch):
        self.asked, self.next = [], {}
        monkeypatch.setattr(submission, "grade_notebook", self)

    def __call__(self, exercise, s, grader, folder, tell):
        self.asked.append(s.student)
        found = self.next.get(s.student, [])
        result = found.pop(0) if found else None
        if isinstance(result, Exception):
            raise result
        (folder / f"{exercise.name}.png").write_bytes(b"picture %d" % len(self.asked))
        outcome, code, score = result or ("graded", None, 1.0)
        tests = [Test(c.name, score * c.points, c.points, "so") for c in exercise.checks]
        return NotebookResult(exercise, outcome, "So.", tests, code=code)


@pytest.fixture
def judge(monkeypatch):
    return Judge(monkeypatch)


def grade(submitted, out, who=None, **more):
    found = batch.find(submitted, student=who, only=(NOTEBOOK,))
    return {r["extra_data"]["student"]: r for r in batch.grade(found, out, 1, progress=False, **more)}


def test_a_regrade_judges_what_has_a_record_and_takes_the_new_one(submitted, tmp_path, judge):
    judge.next["ada"] = [("graded", None, 0.0)]
    assert grade(submitted, tmp_path / "o")["ada"]["score"] == 0
    assert grade(submitted, tmp_path / "o")["ada"]["score"] == 0 and sorted(judge.asked) == ["ada", "ben", "cy"]
    assert grade(submitted, tmp_path / "o", "ada", regrade=True)["ada"]["score"] == 10
    assert judge.asked.count("ada") == 2 and judge.asked.count("ben") == 1
    folder = tmp_path / "o/ada" / TASK
    assert (folder / f"{NOTEBOOK}.png").read_bytes() == b"picture 4"
    assert sorted(p.name for p in folder.iterdir()) == ["instructor.json", f"{NOTEBOOK}.png", "results.json"]


@pytest.mark.parametrize("what", ["an exception", "a full disk", "a killed process"])
def test_a_record_survives_a_regrade_that_fails(submitted, tmp_path, judge, monkeypatch, what):
    out = tmp_path / "o"
    grade(submitted, out)
    before = {p: p.read_bytes() for p in sorted(out.glob("*/*/*"))}
    if what == "an exception":
        judge.next["ada"] = [OSError("no space left")]
    elif what == "a full disk":
        written = batch.write_bytes

        def full(path, content):
            if "ada" in path.parts and path.name.startswith("results"):
                raise OSError("no space left")
            written(path, content)

        monkeypatch.setattr(batch, "write_bytes", full)
    else:
        judge.next["ada"] = [KeyboardInterrupt()]
        monkeypatch.setattr(batch, "write_record", lambda *a: pytest.fail("killed", pytrace=False))
    if what == "a killed process":
        with pytest.raises(pytest.fail.Exception):
            grade(submitted, out, "ada", regrade=True)
    else:
        rec = grade(submitted, out, "ada", regrade=True)["ada"]
        assert rec["score"] == 10 and "no space left" in rec["extra_data"]["kept"]
    assert {p: p.read_bytes() for p in sorted(out.glob("*/*/*"))} == before


def test_an_old_grade_of_another_submission_does_not_survive(submitted, tmp_path, judge):
    grade(submitted, tmp_path / "o")
    (submitted / "ada" / TASK / f"{NOTEBOOK}.ipynb").write_text("[]")
    judge.next["ada"] = [OSError("no space left")]
    assert grade(submitted, tmp_path / "o", "ada", regrade=True)["ada"]["score"] is None
    assert json.loads((tmp_path / "o/ada" / TASK / "results.json").read_text())["score"] is None


def test_what_a_busy_machine_starved_is_graded_once_more_at_the_end(submitted, tmp_path, judge):
    judge.next = {"ada": [("timeout", BUSY, 0.0)], "ben": [("timeout", None, 0.0)]}
    found = grade(submitted, tmp_path / "o", jobs=2)
    assert {s: r["score"] for s, r in found.items()} == {"ada": 10, "ben": 0, "cy": 10}  # ben's own loop is his own
    assert judge.asked[-1] == "ada" and judge.asked.count("ada") == 2 and len(judge.asked) == 4
    private = json.loads((tmp_path / "o/ada" / TASK / "instructor.json").read_text())
    assert private["flags"] == [batch.TWICE] and "busy" in batch.TWICE
    state = json.loads((tmp_path / "o/.progress.json").read_text())
    assert state["done"] == 3 and state["outcomes"] == {"graded": 2, "timeout": 1} and not state["running"]


def test_a_machine_that_stays_busy_is_tried_twice_and_again_the_next_time(submitted, tmp_path, judge):
    judge.next["ada"] = [("timeout", BUSY, 0.0)] * 2
    assert grade(submitted, tmp_path / "o", "ada")["ada"]["extra_data"]["outcome"] == "timeout"
    assert len(judge.asked) == 2
    assert grade(submitted, tmp_path / "o", "ada")["ada"]["score"] == 10 and len(judge.asked) == 3


def test_starved_is_told_from_slow():
    class Dog:
        verdict, spent = None, 0.0

    slow = Deadline(Dog, 5.0)
    Dog.spent = 6.0
    assert slow.left < 0 and slow.failure.code is None
    Dog.spent, hungry = 0.0, Deadline(Dog, 0.001)
    time.sleep(0.05)
    assert hungry.left < 0 and hungry.failure.code == BUSY
    Dog.verdict = ("timeout", "The answer ran longer than 1800 s in all.", BUSY)
    assert hungry.failure.code == BUSY
    assert load_failure(hungry.failure, 20.0).code == BUSY  # and is not blamed on the cell
    assert load_failure(Failure("timeout", "It was slow."), 20.0).code is None
    assert Limits().wall_s > Limits().cpu_s  # so that this verdict is of the clock alone


def test_several_students_by_name(submitted, tmp_path, judge, capsys):
    a = parser().parse_args(["grade", "s", "--out", "o", "--regrade", "--student", "ada", "--student", "ben"])
    assert a.regrade and a.student == ["ada", "ben"]
    words = ["grade", str(submitted), "--out", str(tmp_path / "o"), "--course", str(tmp_path), "--notebook", NOTEBOOK]
    main([*words, "--student", "ada", "--student", "cy", "--student", "ada"])
    assert sorted(judge.asked) == ["ada", "cy"]
    main([*words, "--student", "cy", "--regrade"])
    assert sorted(judge.asked) == ["ada", "cy", "cy"]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*words, "--student", "ada", "--student", "zoe"])
    assert "no submission of zoe in" in capsys.readouterr().err


def test_the_reason_comes_through_from_a_child(tmp_path):
    """Of an answer that naps, since a right one may be done before the watchdog looks."""
    solution = Path(__file__).resolve().parents[2] / f"solutions/{TASK}/{NOTEBOOK}.ipynb"
    nb = json.loads(solution.read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        if grade_id(cell) == "drop_labels":
            cell["source"] = ["import time\n", "time.sleep(3)\n", *cell["source"]]
    (tmp_path / "napping.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    result, _ = judge_notebook(EXERCISE, tmp_path / "napping.ipynb", Grader(None, {}, 0, limits=Limits(wall_s=0.001)))
    assert (result.outcome, result.code, result.score) == ("timeout", BUSY, 0)
