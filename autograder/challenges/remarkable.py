"""Results far better than any reference design's, which get no rank until an instructor has looked at them."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from autograder.challenges import attempts, figures, record
from autograder.challenges.tracks import Track
from autograder.gate.bands import FAR, FLOOR, load_bands, too_good
from autograder.grading.grader import band_file

CONFIRM = "confirm"  # the kind of the entry in the log


def means(track: Track, runs: figures.Runs) -> dict[str, float]:
    """Return the means over seeds of the metrics that every run has. The gate's own are among these."""
    measured = [m for m in track.metrics if all(m in r for r in runs.values())]
    return {"adherence": 0.0} | {m: fmean(r[m] for r in runs.values()) for m in measured}


def look(track: Track, runs: figures.Runs) -> list[str]:
    """Return sentences that say in what a design is too good to be accepted unseen; empty for most designs."""
    if track.evaluations:
        return _sampled(track, means(track, runs))
    return too_good(means(track, runs), load_bands(band_file(track.exercise, one_look=True), figures.judge_name()))


def _sampled(track: Track, found: dict[str, float]) -> list[str]:
    """Do the same for tracks that train nothing. They have no bands, so compare with the runs of the known designs."""
    known = [m for runs in figures.known_runs(track).values() for m in runs.values()]
    far, out = FAR["distance"] * min((m["distance"] for m in known), default=0.0), []
    most = max([FLOOR["copies"], *(2 * m["copies"] for m in known)])
    if found["distance"] < far:
        best = f"{FAR['distance']:g} times the best known run's"
        out.append(f"distance {found['distance']:.3g}, below {far:.3g}: {best}")
    if found["copies"] > most:
        out.append(f"{found['copies']:.0%} of the images are copies of training images")
    return out


def confirmed(entries: Sequence[dict[str, Any]], track: str) -> set[str]:
    """Return the challengers whose one submission an instructor has looked at."""
    return {e["name"] for e in entries if e["kind"] == CONFIRM and e["track"] == track}


def confirm(folder: Path, track: str, name: str) -> attempts.Challenger:
    """Log that an instructor has looked at a submission; ValueError if there is none."""
    who = attempts.challenger(folder, track, name)
    if not who.submitted:
        raise ValueError(f"{who.name} has submitted nothing in {track}, so there is nothing to confirm")
    record.append(folder, CONFIRM, track=track, name=who.name, test=who.submitted)
    return who
