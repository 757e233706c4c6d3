"""Checks what must hold before any training. The first property that fails is the reason for rejecting a design."""

from collections.abc import Callable
from dataclasses import dataclass

from autograder.challenges import budgets, consistency
from autograder.challenges.tracks import Track
from autograder.exercises.base import AnswerError, Asks, Check, Failed, Probe
from autograder.grading.blame import of_the_answer
from autograder.grading.grader import CHECK_S
from autograder.grading.messages import load_error, load_failure, sentence
from autograder.sandbox.limits import Failure, Limits
from autograder.sandbox.session import session
from ddpm_core.streams import stream

# Determinism comes early: without it, the checks for mixed-up samples also fail and would be given as the reason.
FIRST = (("contract", "interface"), ("finite",), ("deterministic",))  # words in the names of the checks that come first


@dataclass(frozen=True)
class Finding:
    """One property and whether it holds."""

    name: str
    holds: bool
    text: str
    trace: str = ""  # for the log: the traceback of a check that stopped at what the answer returned


def checks(track: Track) -> tuple[Check, ...]:
    """Return the track's checks: those of its exercise, and the track's budgets.

    The prediction track accepts more answers than its exercise, so it has checks of its own. A challenge requires all
    checks to hold, even those that would cost a student only a fraction of a point.
    """
    if track.name == "prediction":
        return consistency.CHECKS + budgets.CHECKS[track.name]
    own = sorted(track.exercise.checks, key=lambda c: [not any(word in c.name for word in words) for words in FIRST])
    return (*own, *budgets.CHECKS.get(track.name, ()))


def ask(track: Track, child: Asks, cells: dict[str, str], seed: int = 0, deadline_s: float = CHECK_S) -> list[Finding]:
    """Return the findings up to the first property that fails; Failure if the answer's process ended."""
    probe, traces = Probe(child, deadline_s), []
    try:
        with of_the_answer(traces.append):
            probe("load", cells=cells, operations=track.exercise.operations)
    except Failure as e:
        raise load_failure(e, deadline_s) from e
    except Failed as e:
        text = load_error(e, cells) if isinstance(e, AnswerError) else sentence(str(e))
        return [Finding("the cells run", False, text, "".join(traces))]
    found = [Finding("the cells run", True, "holds")]
    for check in checks(track):
        try:
            with of_the_answer(traces.append):
                check.run(probe, stream(seed, check.name))
        except Failed as e:
            return [*found, Finding(check.name, False, sentence(str(e)), "".join(traces))]
        found.append(Finding(check.name, True, "holds"))
    return found


def examine(track: Track, cells: dict[str, str], sandboxed: bool, tell: Callable[[str], None]) -> list[Finding]:
    """Do the same in a sandbox of its own; Failure only if the grader fails, not the answer's process."""
    tell(f"{len(checks(track)) + 1} properties to check before any training")
    try:
        with session(track.exercise, Limits(), sandboxed=sandboxed) as child:
            return ask(track, child, cells)
    except Failure as e:
        if e.outcome == "infrastructure_error":
            raise
        return [Finding("answers within its limits", False, sentence(e.message))]
