"""Carries out one test of a challenger, from notebook to log: contract first, then the quick tier, then the record."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autograder.challenges import attempts, contract, figures, pictures, quick, record, remarkable
from autograder.challenges.tracks import METRICS, Track
from autograder.gate.bands import judge_run, load_bands
from autograder.grading.grader import band_file
from autograder.grading.provenance import grader_hash, sha256
from autograder.intake.extract import Unreadable, extract, read_bytes
from autograder.sandbox.limits import Failure

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Tested:
    """The result of a test: its number if it began, the outcome, a sentence, and the runs if it finished."""

    number: int | None
    outcome: str  # rejected, or one of attempts.MEANING
    reason: str
    runs: dict[int, dict[str, float]]


def cells_of(track: Track, notebook: Path) -> dict[str, str]:
    """Return the open cells; ValueError if one cannot be taken from the notebook, or occurs more than once."""
    try:
        found = extract(notebook, track.exercise.answers)
    except Unreadable as e:
        raise ValueError(str(e)) from None
    if found.remarks:
        raise ValueError(f"{found.remarks[0].partition(';')[0]} in {notebook.name}; delete all but one")
    return found.cells


def run(
    track: Track, name: str, notebook: Path, folder: Path, tier: quick.Tier, sandboxed: bool = True, tell: Tell = print
) -> Tested:
    """Test a notebook and log it in `folder`; ValueError if no test is allowed, or something of ours failed."""
    start = time.monotonic()
    cells = cells_of(track, notebook)
    about = {"notebook": sha256(read_bytes(notebook)), "answers": sha256(*(p for c in cells.items() for p in c))}
    about |= {"sandboxed": sandboxed, "judge": figures.judge_name()}
    about |= {"grader": grader_hash(), "torch": torch.__version__}
    with attempts.only_one(folder, track.name, name):
        who = attempts.challenger(folder, track.name, name)
        for number in attempts.close_lost(folder, who):
            tell(f"test {number} counts: it began but never ended, because it was killed or the machine stopped")
        who = attempts.challenger(folder, track.name, name)
        who.may_test()
        try:
            found = contract.examine(track, cells, sandboxed, tell)
        except (Failure, OSError) as e:
            raise ValueError(f"the checks could not run, and no test was used up: {e}") from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted before any training: no test was used up") from None
        if not found[-1].holds:
            reason = f"{found[-1].name}: {found[-1].text}"
            about |= {"trace": found[-1].trace} if found[-1].trace else {}
            record.append(folder, "rejected", track=track.name, name=who.name, reason=reason, **about)
            return Tested(None, "rejected", reason, {})
        test = Running(track, folder, who, attempts.begin(folder, who, **about))
        tell(f"contract: {len(found)} properties hold")
        tell(f"test {test.number} begins ({who.used + 1} of {attempts.LIMIT} used); if you stop it, it counts")
        outcomes = _outcomes(test, quick.seeds(track, cells, tier, sandboxed, time.monotonic() - start, tell))
        return _close(test, tier, outcomes, time.monotonic() - start)


@dataclass(frozen=True)
class Running:
    """A test that has begun, according to the log."""

    track: Track
    folder: Path
    who: attempts.Challenger
    number: int

    @property
    def picture(self) -> Path:
        return self.folder / record.TESTS / f"{self.who.track}-{sha256(self.who.name)[:12]}-{self.number}.png"

    def end(self, outcome: str, **about: Any) -> None:
        attempts.end(self.folder, self.who, self.number, outcome, **about)

    def our_error(self, reason: str) -> ValueError:
        """Log that the test failed through an error of ours, and return the error to raise."""
        self.end(attempts.FREE, reason=reason[:500])
        counts = "does not count"
        if self.who.free >= attempts.MOST_FREE:
            counts = f"counts, since {attempts.MOST_FREE} before it did not; ask your instructor"
        return ValueError(f"test {self.number} failed through an error of ours and {counts}: {reason}")


def _outcomes(test: Running, seeds: Iterable[quick.Outcome]) -> list[quick.Outcome]:
    """Return the outcomes of all seeds, and save the first one's samples as a picture.

    An interruption or an error of ours is logged, then raised.
    """
    try:
        outcomes = list(seeds)
        if outcomes[-1].metrics:
            pictures.of_samples(test.track, outcomes[0].images, test.picture)
        return outcomes
    except KeyboardInterrupt:
        test.end("stopped")
        again = "the same command starts another one, if any are left"
        raise KeyboardInterrupt(f"interrupted: test {test.number} is used up and has no result; {again}") from None
    except Exception as e:  # our error: whatever the answer does is an outcome
        raise test.our_error(repr(e)) from e


def _close(test: Running, tier: quick.Tier, outcomes: list[quick.Outcome], seconds: float) -> Tested:
    """Log how the test ended, and return its result; ValueError if that was an error of ours."""
    last, seconds = outcomes[-1], round(seconds, 1)
    if last.ours:
        raise test.our_error(last.reason)
    if not last.metrics:
        test.end("failed", reason=last.reason, seconds=seconds, **({"trace": last.trace} if last.trace else {}))
        return Tested(test.number, "failed", last.reason, {})
    runs = {o.seed: o.metrics for o in outcomes}
    result: dict[str, Any] = {
        "runs": [{"seed": o.seed, "seconds": round(o.seconds, 1), "metrics": o.metrics} for o in outcomes],
        "harness": figures.harness_digest(test.track, tier.harness),
        "gate": None if tier.harness or test.track.evaluations else gate(test.track, runs)[0],
        "seconds": seconds,
        "samples": test.picture.name,
        "samples_hash": sha256(test.picture.read_bytes()),
    }
    test.end("finished", result=result)
    return Tested(test.number, "finished", "", runs)


def gate(track: Track, runs: figures.Runs) -> tuple[bool, str]:
    """Whether the means over seeds are within the limits for full credit, as a full-scale run requires, and why."""
    means = remarkable.means(track, runs)
    verdict = judge_run(means, load_bands(band_file(track.exercise, one_look=True), figures.judge_name()))
    return verdict.share == 1, verdict.reason


def lines(track: Track, tested: Tested) -> list[str]:
    """Return the result as text: every metric with its interval, and the paired difference from the baseline."""
    if tested.outcome != "finished":
        return [f"{tested.outcome}: {tested.reason}"]
    known = figures.known_runs(track)
    base = known.get(track.baseline, {})
    out = [f"{len(tested.runs)} seeds; mean [95 % interval]; difference from {track.baseline} on the same seeds"]
    for metric in track.metrics:
        e = figures.mean_of(tested.runs, metric, known)
        d = figures.difference(tested.runs, base, metric, list(known.values()))
        told = "no run of it to compare with" if d is None else figures.verdict(metric, d)
        title = METRICS[metric].title
        out.append(f"  {title:18s} {figures.shown(e, metric):26s} {figures.shown(d, metric):26s} {told}")
    if not track.evaluations:
        passed, reason = gate(track, tested.runs)
        out.append(f"quick gate: {'passed' if passed else 'not passed'}: {reason}")
    if far := remarkable.look(track, tested.runs):
        out.append(f"look at this one: {'; '.join(far)}")
        out.append("it does not lead the leaderboard before `autograder challenge confirm`")
    return out
