"""The answers of one notebook, judged one by one, so that one error is not punished twice.

An answer is loaded alone. Where it may build on another cell, the course's own solution of that cell is supplied, in a
child in which nothing but the answer under judgement is loaded: otherwise an answer could read the solution of another
from its namespace, and be it. Answers that build on nothing share a child, one after the other, each in a fresh
namespace; they are one student's, and no reference is anywhere near. An answer that hangs or dies takes its own points
with it: the next one gets a new child.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.exercises.base import AnswerError, Exercise, Failed, Probe
from autograder.grading.messages import load_error, load_failure, message, sentence, short
from autograder.grading.results import NotebookResult, Test, outcome_of
from autograder.intake import model_solutions
from autograder.intake.extract import Answers
from autograder.sandbox.child_process import Child
from autograder.sandbox.limits import Failure
from autograder.sandbox.scratch import temporary
from autograder.sandbox.staging import hidden, stage
from ddpm_core.streams import stream

if TYPE_CHECKING:
    from autograder.grading.judging import Grader


def groups(exercise: Exercise, cells: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Answers that may share a child: all that build on nothing, and each other one by itself."""
    alone = tuple(n for n in exercise.answers if n in cells and not exercise.needs.get(n))
    yield from [alone] if alone else []
    yield from ((n,) for n in exercise.answers if n in cells and n not in alone)


def judge_per_answer(
    exercise: Exercise,
    answers: Answers,
    grader: Grader,
    result: NotebookResult,
    seed: int,
    threads: int,
    progress: Callable[[str, float], None],
) -> None:
    """Fill in the result's tests, outcome and reason; Failure where the machine failed, not an answer."""
    outcomes = dict.fromkeys(answers.absent, "missing")
    for answer, why in answers.absent.items():
        lose(exercise, answer, result, why)
    with temporary() as folder:
        code, hide = stage(exercise, Path(folder) / "code"), hidden(exercise)
        for group in groups(exercise, answers.cells):
            waiting = list(group)
            while waiting:
                start = time.monotonic()
                with Child(code, grader.limits, sandboxed=grader.sandboxed, threads=threads, hide=hide) as child:
                    count(result.timings, "start", time.monotonic() - start)
                    probe = Probe(child, timeout_s=grader.check_s)
                    try:
                        while waiting:
                            answer = waiting.pop(0)
                            progress("checks", len(result.tests) / len(exercise.checks))
                            outcomes[answer] = judge_answer(
                                exercise, answer, answers, probe, result, seed, grader.solutions
                            )
                    except Failure as e:
                        if e.outcome == "infrastructure_error":
                            raise
                        outcomes[answer] = e.outcome
                        lose(exercise, answer, result, e.message)
                    finally:
                        said = result.instructor
                        said["printed"] = said.get("printed", "") + child.printed
                        said["peak_bytes"] = max(said.get("peak_bytes", 0), child.peak_bytes)
                count(result.timings, "checks", time.monotonic() - start)
    order = [c.name for c in exercise.checks]
    result.tests.sort(key=lambda t: order.index(t.name))
    result.outcome = outcome_of(list(outcomes.values()))
    result.reason = next((short(t.output) for t in result.tests if not t.passed), "Every check holds.")


def judge_answer(
    exercise: Exercise,
    answer: str,
    answers: Answers,
    probe: Probe,
    result: NotebookResult,
    seed: int,
    solutions: Path | None,
) -> str:
    """Load one answer and run its checks; the outcome. Failure where it hangs, dies, or sends what is no result."""
    supplied = {}
    if needed := exercise.needs.get(answer):
        # a student at home has no solutions: the own cells stand in for them
        own = {n: answers.cells[n] for n in needed if n in answers.cells}
        supplied = own if solutions is None else model_solutions.reference(exercise, needed, solutions)
    try:
        probe("load", cells={answer: answers.cells[answer]}, supplied=supplied, operations=exercise.operations)
    except Failure as e:
        raise load_failure(e, probe.timeout_s) from e
    except AnswerError as e:
        result.code = "imported_answer" if e.hidden else result.code or "load_error"
        lose(exercise, answer, result, load_error(e, {answer: answers.cells[answer]}))
        return "crash"
    for check in exercise.checks_of(answer):
        try:
            check.run(probe, stream(seed, check.name))
            result.tests.append(Test(check.name, check.points, check.points, "holds"))
        except Failed as e:
            result.tests.append(Test(check.name, 0.0, check.points, message(e, check)))
            result.code = "imported_answer" if isinstance(e, AnswerError) and e.hidden else result.code
    return "graded"


def lose(exercise: Exercise, answer: str, result: NotebookResult, why: str) -> None:
    """No points for the checks of an answer that have not been judged."""
    done = {t.name for t in result.tests}
    result.tests += [
        Test(c.name, 0.0, c.points, sentence(why)) for c in exercise.checks_of(answer) if c.name not in done
    ]


def count(timings: dict[str, float], what: str, seconds: float) -> None:
    timings[what] = round(timings.get(what, 0.0) + seconds, 2)
