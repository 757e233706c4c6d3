"""One notebook from file to result: extract, sandbox, checks, gate. Whatever the notebook holds, a result comes out."""

import time
from pathlib import Path

from torch import Tensor

from autograder.exercises.base import Exercise, Probe
from autograder.grading import gating
from autograder.grading.checking import Progress, child_of, count, load, run_checks
from autograder.grading.grader import Grader
from autograder.grading.messages import sentence, short
from autograder.grading.per_answer import judge_per_answer
from autograder.grading.results import NotebookResult
from autograder.intake.extract import Unreadable, extract
from autograder.sandbox.limits import Failure
from ddpm_core.streams import derive_seed


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
            images = judge_together(answers.cells, grader, result, seed, progress)
        else:
            judge_per_answer(answers, grader, result, seed, progress)
            if exercise.gate_cell and gating.worth_training(result):
                images = gating.in_fresh_child(answers.cells, grader, result, seed, progress)
    except Failure as e:
        result.outcome, result.reason = e.outcome, sentence(e.message)
    except OSError as e:
        result.outcome, result.reason = "infrastructure_error", f"The grader's own machine failed: {e}."
    if result.outcome != "infrastructure_error":
        result.reason = " ".join([result.reason, *map(sentence, answers.remarks)])
    result.timings["total"] = round(time.monotonic() - start, 2)
    return result, images


def judge_together(
    cells: dict[str, str], grader: Grader, result: NotebookResult, seed: int, progress: Progress
) -> Tensor | None:
    """All answers in one namespace of one child: the checks, then the gate where there is one."""
    with child_of(result.exercise, grader, result) as child:
        probe, start = Probe(child, timeout_s=grader.check_s), time.monotonic()
        if why := load(result.exercise, cells, probe, result, supplied={}):
            result.outcome, result.reason = "crash", why
            return None
        run_checks(result.exercise.checks, probe, result, seed, progress)
        count(result.timings, "checks", start)
        result.reason = next((short(t.output) for t in result.tests if not t.passed), "Every check holds.")
        if not result.exercise.gate_cell or not gating.worth_training(result):
            return None
        return gating.gate(child, grader, result, seed, progress)
