"""The answers of one notebook, judged one by one, so that one error is not punished twice.

An answer is loaded alone. Where it may build on another cell, the course's own solution of that cell is supplied, in a
child in which nothing but the answer under judgement is loaded: otherwise an answer could read the solution of another
from its namespace, and be it. Answers that build on nothing share a child, one after the other, each in a fresh
namespace; they are one student's, and no reference is anywhere near. An answer that hangs or dies takes its own points
with it: the next one gets a new child.
"""

import time
from collections.abc import Iterator

from autograder.exercises.base import Exercise, Probe
from autograder.grading.checking import Progress, child_of, count, load, run_checks
from autograder.grading.grader import Grader
from autograder.grading.messages import sentence, short
from autograder.grading.results import NotebookResult, Test, outcome_of
from autograder.intake import model_solutions
from autograder.intake.extract import Answers
from autograder.sandbox.limits import Failure


def groups(exercise: Exercise, cells: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Answers that may share a child: all that build on nothing, and each other one by itself."""
    alone = tuple(n for n in exercise.answers if n in cells and not exercise.needs.get(n))
    yield from [alone] if alone else []
    yield from ((n,) for n in exercise.answers if n in cells and n not in alone)


def judge_per_answer(answers: Answers, grader: Grader, result: NotebookResult, seed: int, progress: Progress) -> None:
    """Fill in the result's tests, outcome and reason; Failure where the machine failed, not an answer."""
    exercise = result.exercise
    outcomes = dict.fromkeys(answers.absent, "missing")
    for answer, why in answers.absent.items():
        lose(answer, result, why)
    for group in groups(exercise, answers.cells):
        waiting = list(group)
        while waiting:
            start = time.monotonic()
            with child_of(exercise, grader, result) as child:
                try:
                    while waiting:
                        answer = waiting.pop(0)
                        probe = Probe(child, timeout_s=grader.check_s)
                        outcomes[answer] = judge_answer(answer, answers, grader, probe, result, seed, progress)
                except Failure as e:
                    if e.outcome == "infrastructure_error":
                        raise
                    outcomes[answer] = e.outcome
                    lose(answer, result, e.message)
            count(result.timings, "checks", start)
    order = [c.name for c in exercise.checks]
    result.tests.sort(key=lambda t: order.index(t.name))
    result.outcome = outcome_of(list(outcomes.values()))
    result.reason = next((short(t.output) for t in result.tests if not t.passed), "Every check holds.")


def judge_answer(
    answer: str, answers: Answers, grader: Grader, probe: Probe, result: NotebookResult, seed: int, progress: Progress
) -> str:
    """Load one answer and run its checks; the outcome. Failure where it hangs, dies, or sends what is no result."""
    exercise, supplied = result.exercise, {}
    if needed := exercise.needs.get(answer):
        # a student at home has no solutions: the own cells stand in for them
        own = {n: answers.cells[n] for n in needed if n in answers.cells}
        known = grader.solutions
        supplied = own if known is None else model_solutions.reference(exercise, needed, known)
    if why := load(exercise, {answer: answers.cells[answer]}, probe, result, supplied):
        lose(answer, result, why)
        return "crash"
    run_checks(exercise.checks_of(answer), probe, result, seed, progress)
    return "graded"


def lose(answer: str, result: NotebookResult, why: str) -> None:
    """No points for the checks of an answer that have not been judged."""
    done = {t.name for t in result.tests}
    result.tests += [
        Test(c.name, 0.0, c.points, sentence(why)) for c in result.exercise.checks_of(answer) if c.name not in done
    ]
