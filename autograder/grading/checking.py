"""What judging does with every child: start it, load answers, run checks, and record the results."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from autograder.exercises.base import AnswerError, Check, Exercise, Failed, Probe
from autograder.grading.blame import Unusable, of_the_answer
from autograder.grading.grader import Grader
from autograder.grading.messages import load_error, load_failure, message, sentence
from autograder.grading.results import UNUSABLE, NotebookResult, Test
from autograder.sandbox.limits import Failure
from autograder.sandbox.session import session
from ddpm_core.streams import stream

Progress = Callable[[str, float], None]  # (current stage, fraction done)


@dataclass(frozen=True)
class Judging:
    """One notebook while it is judged."""

    grader: Grader
    result: NotebookResult
    seed: int
    progress: Progress
    notes: list[str] = field(default_factory=list)  # of the answers' processes
    stops: list[str] = field(default_factory=list)

    @property
    def exercise(self) -> Exercise:
        return self.result.exercise


@contextmanager
def judging(j: Judging, what: str) -> Iterator[None]:
    """Anything that goes wrong inside with the answer's data becomes a Failed, and is noted for the instructor."""

    with of_the_answer(partial(noted, j.result, what)):
        yield


def noted(result: NotebookResult, what: str, trace: str) -> None:
    """Keep a traceback for the instructor; the notebook's code says there is one."""
    result.instructor.setdefault("unexpected", []).append({"where": what, "trace": trace})
    result.code = result.code or UNUSABLE


@contextmanager
def child_of(j: Judging) -> Iterator[Probe]:
    """A child to ask. Its start-up time, its output and its memory use go into the result."""
    start, child = time.monotonic(), None
    try:
        with session(j.exercise, j.grader.limits, sandboxed=j.grader.sandboxed, zygote=j.grader.zygote) as child:
            count(j.result.timings, "start", start)
            yield Probe(child, timeout_s=j.grader.check_s, notes=j.notes, stops=j.stops)
    finally:
        if child is not None:  # it started and has ended by now, so all its output has arrived
            noted = j.result.instructor
            noted["printed"] = noted.get("printed", "") + child.printed
            noted["peak_bytes"] = max(noted.get("peak_bytes", 0), child.peak_bytes)


def load(j: Judging, cells: dict[str, str], probe: Probe, supplied: dict[str, str] | None = None) -> str | None:
    """Run answer cells in a fresh namespace; returns a sentence for the student if they do not finish."""
    try:
        with judging(j, "load"):
            probe("load", cells=cells, supplied=supplied or {}, operations=j.exercise.operations)
    except Failure as e:
        raise load_failure(e, probe.timeout_s) from e
    except Unusable as e:
        return sentence(str(e))
    except AnswerError as e:
        j.result.code = "imported_answer" if e.hidden else j.result.code or "load_error"
        return load_error(e, cells)
    return None


def run_checks(j: Judging, checks: Iterable[Check], probe: Probe) -> None:
    """One line in the result for each check, whatever its outcome."""
    for check in checks:
        j.progress("checks", len(j.result.tests) / len(j.exercise.checks))
        score, text = check.points, "holds"
        try:
            with judging(j, check.name):
                check.run(probe, stream(j.seed, check.name))
        except Failed as e:
            score, text = 0.0, message(e, check)
            j.result.code = "imported_answer" if isinstance(e, AnswerError) and e.hidden else j.result.code
        j.result.tests.append(Test(check.name, score, check.points, text))


def count(timings: dict[str, float], what: str, start: float) -> None:
    """Add the seconds since `start`."""
    timings[what] = round(timings.get(what, 0.0) + time.monotonic() - start, 2)
