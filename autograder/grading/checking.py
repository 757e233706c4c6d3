"""What judging does with every child: start it, load answers, run checks, and note all of it in the result."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from autograder.exercises.base import AnswerError, Check, Exercise, Failed, Probe
from autograder.grading.grader import Grader
from autograder.grading.messages import load_error, load_failure, message
from autograder.grading.results import NotebookResult, Test
from autograder.sandbox.child_process import Child
from autograder.sandbox.limits import Failure
from autograder.sandbox.session import session
from ddpm_core.streams import stream

Progress = Callable[[str, float], None]  # (what is going on, share done)


@contextmanager
def child_of(exercise: Exercise, grader: Grader, result: NotebookResult) -> Iterator[Child]:
    """A child; how long it took to start, what it printed and the memory that it used go into the result."""
    start = time.monotonic()
    with session(exercise, grader.limits, sandboxed=grader.sandboxed) as child:
        count(result.timings, "start", start)
        try:
            yield child
        finally:
            noted = result.instructor
            noted["printed"] = noted.get("printed", "") + child.printed
            noted["peak_bytes"] = max(noted.get("peak_bytes", 0), child.peak_bytes)


def load(
    exercise: Exercise, cells: dict[str, str], probe: Probe, result: NotebookResult, supplied: dict[str, str]
) -> str | None:
    """Run answer cells in a fresh namespace; the sentence for the student where they do not get to their end."""
    try:
        probe("load", cells=cells, supplied=supplied, operations=exercise.operations)
    except Failure as e:
        raise load_failure(e, probe.timeout_s) from e
    except AnswerError as e:
        result.code = "imported_answer" if e.hidden else result.code or "load_error"
        return load_error(e, cells)
    return None


def run_checks(checks: Iterable[Check], probe: Probe, result: NotebookResult, seed: int, progress: Progress) -> None:
    """One line in the result for each check, whatever its outcome."""
    for check in checks:
        progress("checks", len(result.tests) / len(result.exercise.checks))
        score, text = check.points, "holds"
        try:
            check.run(probe, stream(seed, check.name))
        except Failed as e:
            score, text = 0.0, message(e, check)
            result.code = "imported_answer" if isinstance(e, AnswerError) and e.hidden else result.code
        result.tests.append(Test(check.name, score, check.points, text))


def count(timings: dict[str, float], what: str, start: float) -> None:
    """Add the seconds since `start`."""
    timings[what] = round(timings.get(what, 0.0) + time.monotonic() - start, 2)
