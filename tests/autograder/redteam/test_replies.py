"""What a rewritten runner sends cannot take a low score away, nor the other notebooks' scores, nor gain a point.

The answers run in this process, so that many attacks take seconds; the last test does it through the sandbox.
"""

from __future__ import annotations

import contextlib
import json
import runpy
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from autograder.adapters import report
from autograder.authoring.mutants import InProcess, banks
from autograder.authoring.replay import grader_of
from autograder.child import protocol
from autograder.exercises import EXERCISES
from autograder.exercises.base import Failed
from autograder.grading import batch, blame, checking, judging
from autograder.grading.judging import judge_notebook
from autograder.grading.results import OUTCOMES
from autograder.intake import model_solutions
from autograder.sandbox.limits import Failure

ATTACKS = runpy.run_path(str(Path(__file__).parent / "attacks/replies.py"))["ATTACKS"]
BY_NAME = {e.name: e for e in EXERCISES.values()}

# Of these some checks are enough, which take long: the networks are slow.
SOME = {"architecture": replace(BY_NAME["architecture"], gate_cell=None, checks=BY_NAME["architecture"].checks[-2:-1])}
SOME["conditioner"] = replace(BY_NAME["conditioner"], checks=BY_NAME["conditioner"].checks[:7:2])


class Lying(InProcess):
    """Answers as a child does, and changes what it says, also to a model."""

    printed, peak_bytes, sent, change = "", 0, 0, staticmethod(lambda n, h, x: (h, x))

    def ask(self, header, tensors=None, timeout_s=20.0, serve=None):
        if header["op"] == "load":
            return super().ask(header, tensors)

        def changed(given):
            return serve(through_the_wire(*self.change(self.sent, {protocol.EVALUATE: True}, given))[1])

        reply = self.change(self.sent, *super().ask(header, tensors, timeout_s, serve and changed))
        self.sent += 1
        try:
            return through_the_wire(*reply)
        except Exception as e:  # as sandbox/child_process.py has it
            raise Failure("invalid_output", "The answer's process sent a malformed result.") from e


def through_the_wire(header, tensors):
    text, blob = json.dumps(header).encode(), b"".join(protocol.pack(tensors)) if tensors else b""
    return protocol.decode(text, blob)


def handed_in(folder: Path, name: str, cells: dict[str, str]) -> Path:
    made = [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": n}}, "source": s} for n, s in cells.items()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ipynb").write_text(json.dumps({"cells": made, "nbformat": 4}), encoding="utf-8")
    return folder / f"{name}.ipynb"


def cells_of(name: str) -> dict[str, str]:
    """The model solution, its first answer wrong; not where a gate follows, for which it must be right."""
    cells = model_solutions.reference(BY_NAME[name], BY_NAME[name].answers)
    if name in SOME:
        return cells
    bank = next(banks(name))
    return cells | bank.cells(next(iter(bank.wrong.values())).source)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The result of an exercise's answers, its replies changed so."""

    def judge(name: str, change=Lying.change):
        @contextlib.contextmanager
        def session(exercise, *_, **__):
            child = Lying(import_module(exercise.questions))
            child.change = change
            yield child

        exercise = SOME.get(name, BY_NAME[name])
        path = handed_in(tmp_path_factory.mktemp("submitted"), name, cells_of(name))
        with pytest.MonkeyPatch.context() as patch:  # for this call alone: other tests here want a real process
            patch.setattr(checking, "session", session)
            return judge_notebook(exercise, path, grader_of(exercise))[0]

    return judge


@pytest.fixture(scope="module")
def honest(judged):
    made: dict = {}
    return lambda name: made.get(name) or made.setdefault(name, judged(name))


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_reply_takes_the_score_away(attack, judged, honest, got):
    change, names = ATTACKS[attack]
    for name in names:
        result, without = judged(name, change), honest(name)
        assert without.outcome == "graded" and without.score > 0
        assert result.outcome in OUTCOMES and result.outcome != "infrastructure_error", (name, result.reason)
        assert result.score <= without.score, (name, [t for t in result.tests if t.passed])
        assert "unexpected" not in result.instructor, (name, result.instructor["unexpected"])  # each has its sentence
        assert all(t.output.isprintable() and len(t.output) < 1200 for t in result.tests)
        got(f"{attack} ({name})", result.score - without.score, f"none; outcome {result.outcome}")


@pytest.mark.parametrize("error", [RuntimeError, KeyError, RecursionError, AssertionError, StopIteration, ValueError])
def test_whatever_a_check_stops_at_is_the_answers(error):
    noted = []
    with pytest.raises(Failed, match=error.__name__) as e, blame.of_the_answer(noted.append):
        raise error("0.125 of a hidden input")
    assert "hidden" not in str(e.value) and "0.125" not in str(e.value) and "hidden input" in noted[0]


@pytest.mark.parametrize("error", [OSError, MemoryError, KeyboardInterrupt, TimeoutError])
def test_but_what_the_machine_lacks_is_ours(error):
    with pytest.raises(error), blame.of_the_answer(pytest.fail):
        raise error


@pytest.mark.parametrize(("error", "outcome"), [(RuntimeError, "graded"), (OSError, "infrastructure_error")])
def test_one_notebooks_trouble_is_not_the_others(error, outcome, tmp_path, monkeypatch, capsys):
    """A check of `label_dropout` has a mistake, or the disk is full; `ema` beside it keeps its marks."""

    @contextlib.contextmanager
    def session(exercise, *_, **__):
        yield Lying(import_module(exercise.questions))

    def broken(probe, rng):
        raise error("a mistake of ours")

    monkeypatch.setattr(checking, "session", session)
    key = "5_2_guidance", "label_dropout"
    first, *others = EXERCISES[key].checks
    monkeypatch.setitem(EXERCISES, key, replace(EXERCISES[key], checks=(replace(first, run=broken), *others)))
    for name in ("label_dropout", "ema"):
        cells = model_solutions.reference(BY_NAME[name], BY_NAME[name].answers)
        handed_in(tmp_path / "in/ada/5_2_guidance", name, cells)
    submissions = batch.find(tmp_path / "in", "5_2_guidance", None, ("label_dropout", "ema"))
    (rec,) = batch.grade(submissions, tmp_path / "out", 3, sandboxed=False, progress=False)
    mine, beside = (rec["extra_data"]["notebooks"][name] for name in ("label_dropout", "ema"))
    assert (mine["outcome"], beside["outcome"], beside["score"]) == (outcome, "graded", 10.0)
    assert beside["cells"] == {"EMA_checks": 10.0}
    if error is OSError:
        assert mine["score"] is None and rec["score"] is None and mine["cells"] == {}
        return
    assert mine["score"] == 10 - first.points and rec["score"] == 20 - first.points
    private = json.loads((tmp_path / "out/ada/5_2_guidance/instructor.json").read_text())["label_dropout"]
    assert private["unexpected"][0]["where"] == first.name and "a mistake of ours" in private["unexpected"][0]["trace"]
    assert "a mistake of ours" not in json.dumps(rec) and "RuntimeError" in json.dumps(rec)
    page = report.write([rec], tmp_path / "out").read_text(encoding="utf-8")
    assert "What the answer returned stopped a check" in page


def test_a_file_at_which_reading_stops_is_a_file_without_an_answer(tmp_path, monkeypatch):
    def stops(*_, **__):
        raise RecursionError("nested too deeply")

    monkeypatch.setattr(judging, "extract", stops)
    exercise = BY_NAME["ema"]
    result, _ = judge_notebook(exercise, tmp_path / "ema.ipynb", grader_of(exercise))
    assert (result.outcome, result.score, result.code) == ("missing", 0, "unusable_result")
    assert "nested too deeply" in result.instructor["unexpected"][0]["trace"] and "nested" not in result.reason


HOOK = """
import autograder.child.protocol as protocol
encode, sent = protocol.encode, []
def second(header, tensors=None):
    sent.append(0)
    if len(sent) % 2:
        tensors = {k: v.double() for k, v in (tensors or {}).items()}
    return encode({"shares": [{}]} if len(sent) == 9 else header, tensors)
protocol.encode = second
"""


def test_through_the_sandbox(tmp_path):
    """Truth values at every second call, and replies changed on their way out; an honest notebook beside them."""
    for name, before in (("ddim", HOOK), ("schedules", "")):
        cells = model_solutions.reference(BY_NAME[name], BY_NAME[name].answers)
        if name == "ddim":
            odd = "\nright, calls = ddim_timesteps, []\ndef ddim_timesteps(T, steps):\n    calls.append(0)\n"
            odd += "    return right(T, steps) > 3 if len(calls) % 2 else right(T, steps)\n"
            cells = {"ddim_timesteps": cells["ddim_timesteps"] + odd, "ddim_step": before + cells["ddim_step"]}
        handed_in(tmp_path / "in/eve/5_1_unconditional", name, cells)
    submissions = batch.find(tmp_path / "in", "5_1_unconditional", None, ("ddim", "schedules"))
    (rec,) = batch.grade(submissions, tmp_path / "out", 3, progress=False)
    mine, beside = (rec["extra_data"]["notebooks"][name] for name in ("ddim", "schedules"))
    assert mine["outcome"] == "graded" and mine["score"] < 5 and beside["score"] == 10
    assert rec["score"] == mine["score"] + 10
