"""One test of a challenger, from the notebook to the log: contract first, then the quick tier, then the record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from autograder.challenges import attempts, contract, figures, pictures, quick, record
from autograder.challenges.tracks import METRICS, Track
from autograder.gate.bands import judge_run, load_bands
from autograder.grading.grader import band_file
from autograder.grading.provenance import grader_hash, sha256
from autograder.intake.extract import Unreadable, extract, read_bytes
from autograder.sandbox.limits import Failure

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Tested:
    """What came of a test: its number where it began, the outcome, a sentence, and the runs of a finished one."""

    number: int | None
    outcome: str  # rejected, or one of attempts.MEANING
    reason: str
    runs: dict[int, dict[str, float]]


def cells_of(track: Track, notebook: Path) -> dict[str, str]:
    """The open cells; ValueError where one is missing, or there twice."""
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
    """Test a notebook, and log it in `folder`; ValueError where none may be tested, or the machinery failed."""
    start = time.monotonic()
    cells = cells_of(track, notebook)
    about = {"notebook": sha256(read_bytes(notebook)), "answers": sha256(*(p for c in cells.items() for p in c))}
    about |= {
        "sandboxed": sandboxed,
        "judge": figures.judge_name(),
        "grader": grader_hash(),
        "torch": torch.__version__,
    }
    with attempts.only_one(folder, track.name, name):
        who = attempts.challenger(folder, track.name, name)
        for number in attempts.close_lost(folder, who):
            tell(f"test {number} began and never ended, so it counts: it was killed, or the machine stopped")
        who = attempts.challenger(folder, track.name, name)
        who.may_test()
        try:
            found = contract.examine(track, cells, sandboxed, tell=tell)
        except (Failure, OSError) as e:
            raise ValueError(f"the checks could not run, and no test was used up: {e}") from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted before any training: no test was used up") from None
        if not found[-1].holds:
            reason = f"{found[-1].name}: {found[-1].text}"
            record.append(folder, "rejected", track=track.name, name=who.name, reason=reason, **about)
            return Tested(None, "rejected", reason, {})
        number = attempts.begin(folder, who, **about)
        tell(f"contract: {len(found)} properties hold")
        tell(f"test {number} begins ({who.used + 1} of {attempts.LIMIT} used); one that is stopped counts")
        outcomes = _outcomes(track, cells, tier, sandboxed, time.monotonic() - start, tell, folder, who, number)
        return _close(track, tier, folder, who, number, outcomes, time.monotonic() - start)


def _outcomes(
    track: Track,
    cells: dict[str, str],
    tier: quick.Tier,
    sandboxed: bool,
    spent: float,
    tell: Tell,
    folder: Path,
    who: attempts.Challenger,
    number: int,
) -> list[quick.Outcome]:
    """All seeds, and the first one's samples as a picture; a stop and an error of ours are logged before they go on."""
    try:
        outcomes = list(quick.seeds(track, cells, tier, sandboxed, spent, tell))
        if outcomes[-1].metrics:
            pictures.of_samples(track, outcomes[0].images, picture_of(folder, who, number))
        return outcomes
    except KeyboardInterrupt:
        attempts.end(folder, who, number, "stopped")
        told = (
            f"interrupted: test {number} is used up and has no result; the same command begins another, if one is left"
        )
        raise KeyboardInterrupt(told) from None
    except Exception as e:  # ours: whatever the answer does is an outcome
        attempts.end(folder, who, number, attempts.FREE, reason=repr(e)[:500])
        raise ValueError(f"test {number} met an error of ours and does not count: {e!r}") from e


def _close(
    track: Track,
    tier: quick.Tier,
    folder: Path,
    who: attempts.Challenger,
    number: int,
    outcomes: list[quick.Outcome],
    seconds: float,
) -> Tested:
    """Log how the test ended; ValueError where that was an error of ours."""
    last = outcomes[-1]
    if last.ours:
        attempts.end(folder, who, number, attempts.FREE, reason=last.reason)
        raise ValueError(f"test {number} met an error of ours and does not count: {last.reason}")
    if not last.metrics:
        attempts.end(folder, who, number, "failed", reason=last.reason, seconds=round(seconds, 1))
        return Tested(number, "failed", last.reason, {})
    runs, picture = {o.seed: o.metrics for o in outcomes}, picture_of(folder, who, number)
    result: dict[str, Any] = {
        "runs": [{"seed": o.seed, "seconds": round(o.seconds, 1), "metrics": o.metrics} for o in outcomes],
        "harness": figures.harness_digest(track, tier.harness),
        "gate": None if tier.harness else gate(track, runs)[0],
        "seconds": round(seconds, 1),
        "samples": picture.name,
        "samples_hash": sha256(picture.read_bytes()),
    }
    attempts.end(folder, who, number, "finished", result=result)
    return Tested(number, "finished", "", runs)


def picture_of(folder: Path, who: attempts.Challenger, number: int) -> Path:
    return folder / record.TESTS / f"{who.track}-{sha256(who.name)[:12]}-{number}.png"


def gate(track: Track, runs: figures.Runs) -> tuple[bool, str]:
    """Whether the means over seeds lie within the exercise's full limits: what a run at full scale asks for."""
    measured = [m for m in track.metrics if all(m in r for r in runs.values())]  # the gate's own are in every run
    means = {"adherence": 0.0} | {m: fmean(r[m] for r in runs.values()) for m in measured}
    verdict = judge_run(means, load_bands(band_file(track.exercise), figures.judge_name()))
    return verdict.share == 1, verdict.reason


def lines(track: Track, tested: Tested) -> list[str]:
    """The result as text: every metric with its interval, and the paired difference from the baseline."""
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
    passed, reason = gate(track, tested.runs)
    return [*out, f"quick gate: {'passed' if passed else 'not passed'}: {reason}"]
