"""One notebook from file to result: extract, sandbox, checks, gate. Whatever the notebook holds, a result comes out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from autograder.exercises.base import AnswerError, Exercise, Failed, Probe
from autograder.gate import harness
from autograder.gate.bands import Band, judge_run, numbers
from autograder.grading.messages import load_error, load_failure, message, sentence, short
from autograder.grading.per_answer import judge_per_answer
from autograder.grading.results import NotebookResult, Test
from autograder.intake import model_solutions
from autograder.intake.extract import Answers, Unreadable, extract
from autograder.sandbox.child_process import Child
from autograder.sandbox.limits import Failure, Limits
from autograder.sandbox.scratch import temporary
from autograder.sandbox.staging import hidden, stage
from ddpm_core.streams import derive_seed, stream

THREADS = (
    1  # of a child, whatever the number of jobs: another count rounds differently, and two children share two cores
)
CHECK_S = 20.0  # of the child's own time for one question; the slowest right answer needs less than one second
TRAIN_S = 60.0  # for 25 training steps of a network in the child; the slowest reference needs 5 seconds

Progress = Callable[[str, float], None]  # (what is going on, share done)


@dataclass(frozen=True)
class Grader:
    """All that judging needs besides the submission."""

    judge: harness.Judge | None  # of the gate
    bands: dict[str, Band]
    seed: int
    sandboxed: bool = True
    limits: Limits = field(default_factory=Limits)
    run: harness.Harness = field(default_factory=harness.Harness)
    check_s: float = CHECK_S
    solutions: Path | None = model_solutions.SOLUTIONS  # None: a student at home, whose own cells stand in for them


def judge_notebook(
    exercise: Exercise, path: Path, grader: Grader, progress: Progress = lambda what, share: None
) -> tuple[NotebookResult, Tensor | None]:
    """The result, and the samples that the trained answer drew where it came to that."""
    start = time.monotonic()
    try:
        answers = extract(path, exercise.answers, together=exercise.judged_as_pair)
    except Unreadable as e:
        return NotebookResult(exercise, "missing", sentence(str(e))), None
    result = NotebookResult(exercise, "graded", "", instructor={"remarks": list(answers.remarks)})
    images = None
    seed = derive_seed(grader.seed, exercise.assignment, exercise.name)  # the same inputs for every student of a batch
    try:
        if exercise.judged_as_pair:
            images = _judge_pair(exercise, answers.cells, grader, result, seed, progress)
        else:
            judge_per_answer(exercise, answers, grader, result, seed, THREADS, progress)
            if exercise.gate_cell:
                images = _gate_per_answer(exercise, answers, grader, result, seed, progress)
    except Failure as e:
        result.outcome, result.reason = e.outcome, sentence(e.message)
    except OSError as e:
        result.outcome, result.reason = "infrastructure_error", f"The grader's own machine failed: {e}."
    if result.outcome != "infrastructure_error":
        result.reason = " ".join([result.reason, *map(sentence, answers.remarks)])
    result.timings["total"] = round(time.monotonic() - start, 2)
    return result, images


def _judge_pair(
    exercise: Exercise,
    cells: dict[str, str],
    grader: Grader,
    result: NotebookResult,
    seed: int,
    progress: Progress,
) -> Tensor | None:
    """All answers in one namespace of one child: the checks, then the gate where there is one."""
    start = time.monotonic()
    with temporary() as folder:
        code, walls = stage(exercise, Path(folder) / "code"), {"sandboxed": grader.sandboxed, "hide": hidden(exercise)}
        with Child(code, grader.limits, **walls, threads=THREADS) as child:
            result.timings["start"] = round(time.monotonic() - start, 2)
            try:
                return _judge(exercise, cells, child, grader, result, seed, progress)
            finally:
                result.instructor["printed"] = child.printed
                result.instructor["peak_bytes"] = child.peak_bytes


def _judge(
    exercise: Exercise,
    cells: dict[str, str],
    child: Child,
    grader: Grader,
    result: NotebookResult,
    seed: int,
    progress: Progress,
) -> Tensor | None:
    probe = Probe(child, timeout_s=grader.check_s)
    clock = time.monotonic()
    try:
        probe("load", cells=cells, operations=exercise.operations)
    except Failure as e:
        raise load_failure(e, probe.timeout_s) from e
    except AnswerError as e:
        result.outcome, result.reason = "crash", load_error(e, cells)
        result.code = "imported_answer" if e.hidden else "load_error"
        return None
    failures = []
    for i, check in enumerate(exercise.checks):
        progress("checks", i / len(exercise.checks))
        try:
            check.run(probe, stream(seed, check.name))
            result.tests.append(Test(check.name, check.points, check.points, "holds"))
        except Failed as e:
            failures.append(check)
            result.tests.append(Test(check.name, 0.0, check.points, message(e, check)))
            result.code = "imported_answer" if getattr(e, "hidden", False) else result.code
    result.timings["checks"] = round(time.monotonic() - clock, 2)
    result.reason = next((short(t.output) for t in result.tests if not t.passed), "Every check holds.")
    if not exercise.gate_cell:
        return None
    if not _worth_training(exercise, result, [c.name for c in failures]):
        return None
    return _gate(exercise, child, grader, result, seed, progress)


def _worth_training(exercise: Exercise, result: NotebookResult, failed: list[str]) -> bool:
    """False, with a line in the result, where a check failed without which the gate would be wasted time."""
    if fatal := [c.name for c in exercise.checks if c.fatal and c.name in failed]:
        why = f"not trained, since a check failed first: {', '.join(fatal)}"
        result.tests.append(Test("reference gate", 0.0, exercise.gate_points, why))
    return not fatal


def _gate_per_answer(
    exercise: Exercise,
    answers: Answers,
    grader: Grader,
    result: NotebookResult,
    seed: int,
    progress: Progress,
) -> Tensor | None:
    """The gate after answers were judged one by one: all of them together in a fresh child."""
    if not _worth_training(exercise, result, [t.name for t in result.tests if not t.passed]):
        return None
    with temporary() as folder:
        code, walls = stage(exercise, Path(folder) / "code"), {"sandboxed": grader.sandboxed, "hide": hidden(exercise)}
        with Child(code, grader.limits, **walls, threads=THREADS) as child:
            try:
                Probe(child, timeout_s=grader.check_s)("load", cells=answers.cells, operations=exercise.operations)
                return _gate(exercise, child, grader, result, seed, progress)
            except AnswerError as e:
                result.tests.append(Test("reference gate", 0.0, exercise.gate_points, sentence(str(e))))
                return None
            except Failure as e:  # the checks' points stay
                if e.outcome == "infrastructure_error":
                    raise
                result.tests.append(Test("reference gate", 0.0, exercise.gate_points, sentence(e.message)))
                result.reason = sentence(e.message)
                return None
            finally:
                said = result.instructor
                said["printed"] = said.get("printed", "") + child.printed
                said["peak_bytes"] = max(said.get("peak_bytes", 0), child.peak_bytes)


def _gate(
    exercise: Exercise, child: Child, grader: Grader, result: NotebookResult, seed: int, progress: Progress
) -> Tensor | None:
    clock = time.monotonic()
    probe = Probe(child, timeout_s=TRAIN_S)
    try:
        metrics, images = harness.run(
            probe, {"judge": grader.judge}, grader.run, seed, progress=lambda share: progress("gate", share)
        )
    except Failed as e:
        result.tests.append(Test("reference gate", 0.0, exercise.gate_points, sentence(str(e))))
        result.reason = short(str(e))
        return None
    finally:
        result.timings["gate"] = round(time.monotonic() - clock, 2)
    verdict = judge_run(metrics["judge"], grader.bands)
    result.metrics = {k: round(v, 4) for k, v in verdict.metrics.items()}
    result.gate = verdict.share
    points = exercise.gate_points * verdict.share
    shown = f"{numbers(verdict, grader.bands)}: {verdict.reason}"
    result.tests.append(Test("reference gate", points, exercise.gate_points, sentence(shown)))
    if all(t.passed for t in result.tests):
        result.reason = "Every check holds, and the trained model is within the reference limits."
    elif verdict.share < 1:
        result.reason = sentence(verdict.reason)
    return images
