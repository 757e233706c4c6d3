"""One notebook from file to result: extract, sandbox, checks, gate. Any notebook gives a result.

The answers are judged one by one, so one error is not punished twice, unless the exercise judges a pair.

An answer is loaded alone. If it may build on another cell, the course's own solution of that cell is supplied, in a
child where nothing else but this answer is loaded. Otherwise an answer could read another cell's solution from its
namespace and pass it off as its own. Answers that build on nothing share a child, one after the other, each in a fresh
namespace: they belong to one student, and no reference is near. An answer that hangs or dies loses only its own points;
the next one gets a new child.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from autograder.exercises.base import Exercise, Probe
from autograder.grading import blame, gating
from autograder.grading.checking import Judging, Progress, child_of, count, load, run_checks
from autograder.grading.grader import Grader
from autograder.grading.messages import sentence, short
from autograder.grading.remarks import worded
from autograder.grading.results import UNUSABLE, NotebookResult, Test, outcome_of
from autograder.intake import model_solutions
from autograder.intake.extract import Answers, Unreadable, extract
from autograder.sandbox.limits import Failure
from ddpm_core.streams import derive_seed

STOPPED = "a cell stopped early, but after defining its answer, which was graded: {}"


def judge_notebook(
    exercise: Exercise, path: Path, grader: Grader, progress: Progress = lambda what, share: None
) -> tuple[NotebookResult, Tensor | None]:
    """The result, and the trained answer's samples if it got that far."""
    start = time.monotonic()
    try:
        answers = extract(path, exercise.answers, together=exercise.judged_as_pair)
    except Unreadable as e:
        return NotebookResult(exercise, "missing", sentence(str(e))), None
    except blame.OURS:
        raise
    except Exception as e:  # the file is the student's, and so is whatever it causes
        why = f"{path.name} cannot be read as a notebook ({type(e).__name__}); open it in Jupyter and save it again."
        noted = {"unexpected": [{"where": "the file", "trace": blame.trace_of(e)}]}
        return NotebookResult(exercise, "missing", why, code=UNUSABLE, instructor=noted), None
    result = NotebookResult(exercise, "graded", "", instructor={"remarks": list(answers.remarks)})
    images = None
    seed = derive_seed(grader.seed, exercise.assignment, exercise.name)  # the same inputs for every student of a batch
    j = Judging(grader, result, seed, progress)
    try:
        if exercise.judged_as_pair:
            images = judge_together(j, answers.cells)
        else:
            judge_per_answer(j, answers)
            if exercise.gate_cell and gating.worth_training(result):
                images = gating.in_fresh_child(j, answers.cells)
    except Failure as e:
        result.outcome, result.reason = e.outcome, sentence(e.message)
        result.code = e.code or result.code
    except OSError as e:
        result.outcome, result.reason = "infrastructure_error", f"The grader's own machine failed: {e}."
    remarks = [*answers.remarks, *worded(j.notes, answers.cells), *map(STOPPED.format, j.stops)]
    if result.outcome != "infrastructure_error":
        result.reason = " ".join([result.reason, *map(sentence, remarks)])
        result.instructor["remarks"] = remarks
    result.timings["total"] = round(time.monotonic() - start, 2)
    return result, images


def judge_together(j: Judging, cells: dict[str, str]) -> Tensor | None:
    """All answers in one namespace of one child: the checks, then the gate if there is one."""
    with child_of(j) as probe:
        start, result = time.monotonic(), j.result
        if why := load(j, cells, probe):
            result.outcome, result.reason = "crash", why
            return None
        run_checks(j, j.exercise.checks, probe)
        count(result.timings, "checks", start)
        result.reason = first_failure(result)
        return gating.gate(j, probe) if j.exercise.gate_cell and gating.worth_training(result) else None


def judge_per_answer(j: Judging, answers: Answers) -> None:
    """Fill in the result's tests, outcome and reason; Failure if the machine failed, not an answer."""
    outcomes = dict.fromkeys(answers.absent, "missing")
    for answer, why in answers.absent.items():
        lose(j, answer, why)
    for group in groups(j.exercise, answers.cells):
        waiting = list(group)
        while waiting:
            start = time.monotonic()
            with child_of(j) as probe:
                try:
                    while waiting:
                        answer = waiting.pop(0)
                        outcomes[answer] = judge_answer(j, answer, answers, probe)
                except Failure as e:
                    if e.outcome == "infrastructure_error":
                        raise
                    outcomes[answer] = e.outcome
                    j.result.code = e.code or j.result.code
                    lose(j, answer, e.message)
            count(j.result.timings, "checks", start)
    mend_first(j)
    order = [c.name for c in j.exercise.checks]
    j.result.tests.sort(key=lambda t: order.index(t.name))
    j.result.outcome, j.result.reason = outcome_of(list(outcomes.values())), first_failure(j.result)


def groups(exercise: Exercise, cells: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Answers that may share a child: all that build on nothing; each other answer is alone."""
    alone = tuple(n for n in exercise.answers if n in cells and not exercise.needs.get(n))
    yield from [alone] if alone else []
    yield from ((n,) for n in exercise.answers if n in cells and n not in alone)


def judge_answer(j: Judging, answer: str, answers: Answers, probe: Probe) -> str:
    """Load one answer, run its checks, return the outcome. Failure if it hangs, dies, or sends something unusable."""
    supplied = {}
    if needed := j.exercise.needs.get(answer):
        # a student at home has no solutions, so their own cells are used
        own = {n: answers.cells[n] for n in needed if n in answers.cells}
        known = j.grader.solutions
        supplied = own if known is None else model_solutions.reference(j.exercise, needed, known)
        probe = replace(probe, answer=answer, beside=() if known is None else needed)
    if why := load(j, {answer: answers.cells[answer]}, probe, supplied):
        lose(j, answer, why)
        return "crash"
    run_checks(j, j.exercise.checks_of(answer), probe)
    return "graded"


def mend_first(j: Judging) -> None:
    """If an answer and one it builds on both fail, the messages of the former say which to fix first."""
    failing = {c.answer for c in j.exercise.checks for t in j.result.tests if t.name == c.name and not t.passed}
    for answer, needed in j.exercise.needs.items():
        names, first = {c.name for c in j.exercise.checks_of(answer)}, [f"`{n}`" for n in needed if n in failing]
        for i, t in enumerate(j.result.tests if first else ()):
            if t.name in names and not t.passed:
                said = f"{t.output} Fix {' and '.join(first)} first, since `{answer}` builds on it."
                j.result.tests[i] = replace(t, output=said)


def lose(j: Judging, answer: str, why: str) -> None:
    """No points for an answer's checks that have not been judged."""
    done = {t.name for t in j.result.tests}
    left = (c for c in j.exercise.checks_of(answer) if c.name not in done)
    j.result.tests += [Test(c.name, 0.0, c.points, sentence(why)) for c in left]


def first_failure(result: NotebookResult) -> str:
    return next((short(t.output) for t in result.tests if not t.passed), "Every check holds.")
