"""The gate of one notebook: is the answer worth training, how well does it do, and how many points is that?"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import Tensor

from autograder.exercises.base import Failed, Probe
from autograder.gate import looking, sequential
from autograder.gate.bands import judge_run, numbers, too_good
from autograder.grading.checking import Judging, child_of, count, judging, load
from autograder.grading.grader import TRAIN_S, Grader
from autograder.grading.messages import sentence, short
from autograder.grading.results import GATE, NotebookResult, Test
from autograder.sandbox.limits import Failure

TOO_GOOD = "Far better than any reference design ({}): look at the answer and its samples. The points stand."


def worth_training(result: NotebookResult) -> bool:
    """False, with a line in the result, if a check failed that makes running the gate a waste of time."""
    failed = {t.name for t in result.tests if not t.passed}
    if fatal := [c.name for c in result.exercise.checks if c.fatal and c.name in failed]:
        lose(result, f"not trained, since a check failed first: {', '.join(fatal)}")
    return not fatal


def lose(result: NotebookResult, why: str) -> None:
    """No points for the gate."""
    result.tests.append(Test(GATE, 0.0, result.exercise.gate_points, why))


def in_fresh_child(j: Judging, cells: dict[str, str]) -> Tensor | None:
    """The gate after answers were judged one by one: all of them together. The checks' points stay."""
    try:
        with child_of(j) as probe:
            if not (why := load(j, cells, probe)):
                return gate(j, probe)
            lose(j.result, sentence(why))
    except Failure as e:
        if e.outcome == "infrastructure_error":
            raise
        lose(j.result, sentence(e.message))
        j.result.reason, j.result.code = sentence(e.message), e.code or j.result.code
    return None


def decider(grader: Grader) -> Callable[[looking.Look], bool]:
    """Whether a look at the run decides its credit."""
    return partial(sequential.decided, limits=grader.bands, harness=grader.run)


def gate(j: Judging, probe: Probe) -> Tensor | None:
    """Train what is loaded in the child; returns its samples, None if it drew none."""
    start, result, grader, points = time.monotonic(), j.result, j.grader, j.exercise.gate_points
    training, decide = replace(probe, timeout_s=TRAIN_S), decider(grader)

    def decided(look: looking.Look) -> bool:
        result.ended = sequential.at(look.step, grader.run)
        return decide(look)

    try:
        judges = {"judge": grader.judge}
        with judging(j, GATE):
            how = {"progress": partial(j.progress, "gate"), "decided": decided}
            metrics, images = looking.run(training, judges, grader.run, j.seed, **how)
            verdict = judge_run(metrics["judge"], grader.bands)
    except Failed as e:
        lose(result, sentence(str(e)))
        result.reason = short(str(e))
        return None
    finally:
        count(result.timings, "gate", start)
    result.metrics = {k: round(v, 4) for k, v in verdict.metrics.items()}
    result.gate = verdict.share
    if far := too_good(verdict.metrics, grader.bands):
        result.instructor["flags"] = [TOO_GOOD.format("; ".join(far))]
    shown = f"{numbers(verdict, grader.bands)}: {verdict.reason}"
    result.tests.append(Test(GATE, points * verdict.share, points, sentence(shown)))
    if all(t.passed for t in result.tests):
        result.reason = "Every check holds, and the trained model is within the reference limits."
    elif verdict.share < 1:
        result.reason = sentence(verdict.reason)
    return images
