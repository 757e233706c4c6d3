"""The reference gate: one-sided limits between the reference designs and the known-bad controls.

Every metric is oriented so that less is better. With r the worst reference and c the best control, full credit reaches
to the geometric mean sqrt(r·c) and half credit to r^(3/8)·c^(5/8). So a better design can never fail, and the bands
widen with the gap that calibration found. When half credit reached to r^(1/4)·c^(3/4), a fresh run of a control got it.

A run far better than every reference loses no points, but someone should look at it. No correct design on record comes
near those limits. Training ten times as long goes beyond them, and so does mixing stored images.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FAR = {"error": 0.5, "distance": 0.5, "heldout_loss": 0.85}  # share of the best reference run: below it, too good
FLOOR = {"error": 0.02, "copies": 0.10}  # a reference without any error would put the geometric mean at zero
WORDS = {
    "error": "too many samples are not recognised as the digit that was asked for",
    "distance": "the samples are too far from real digits (Fréchet distance)",
    "heldout_loss": "the trained network does not denoise held-out digits",
    "copies": "too many samples are copies of training images",
}


@dataclass(frozen=True)
class Band:
    """Limits of one metric: up to `full` all points, up to `half` half of them. Below `far` it is suspiciously good."""

    full: float
    half: float
    far: float = 0.0

    def share(self, value: float) -> float:
        """Return 1, 0.5 or 0; 0 for a value that is not finite."""
        if not math.isfinite(value):
            return 0.0
        return 1.0 if value <= self.full else 0.5 if value <= self.half else 0.0


def turned(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics as the gate compares them: less is better."""
    return {"error": 1 - metrics["adherence"], **{k: metrics[k] for k in ("distance", "heldout_loss", "copies")}}


def decisive(run: dict, judge: str) -> dict[str, float]:
    """Return the values of a calibration run that set limits: a reference's last look, a control's best values."""
    seen = [turned(look["metrics"][judge]) for look in run.get("looks", [run])]
    return seen[-1] if run["role"] == "reference" else {k: min(look[k] for look in seen) for k in seen[0]}


def bands(runs: Iterable[dict], judge: str, controls: dict[str, tuple[str, ...]]) -> dict[str, Band]:
    """Return limits from calibration runs, each {"design", "role", "metrics": {judge: {...}}}.

    A run with several looks has them in "looks", each with its "metrics". `controls` names, for each metric, the
    designs that it must tell from the references (gate.harness.Gate). ValueError if one is no worse than a reference.
    """
    rows = [(r["design"], r["role"], decisive(r, judge)) for r in runs]
    limits = {}
    for metric, known in controls.items():
        worst = max([m[metric] for _, role, m in rows if role == "reference"])
        best = min([m[metric] for design, _, m in rows if design in known])
        r = max(worst, FLOOR.get(metric, 0.0))
        if best <= r:
            raise ValueError(f"{metric}: a control ({best:.3g}) is no worse than a reference ({r:.3g}); no limit fits")
        first = min([m[metric] for _, role, m in rows if role == "reference"])
        far = FAR.get(metric, 0.0) * first
        limits[metric] = Band(full=math.sqrt(r * best), half=r**0.375 * best**0.625, far=far)
    return limits


@dataclass(frozen=True)
class Verdict:
    """The gate's judgement of a run."""

    share: float  # of the gate's points
    reason: str
    metrics: dict[str, float]


def judge_run(metrics: dict[str, float], limits: dict[str, Band]) -> Verdict:
    """Judge a run by the worst of the metrics that have a limit. The reason names the property, not the limit."""
    values = turned(metrics)
    shares = {k: limit.share(values[k]) for k, limit in limits.items()}
    share = min(shares.values())
    failing = [WORDS[k] for k, s in shares.items() if s == share and s < 1]
    known = {k: v for k, v in metrics.items() if k != "adherence" or "error" in limits}  # meaningless without labels
    return Verdict(share, "; ".join(failing) or "within the reference limits", known)


def too_good(metrics: dict[str, float], limits: dict[str, Band]) -> list[str]:
    """Return sentences about metrics far better than any reference run's, which a person should look at.

    For instructors only, since they contain limits.
    """
    values = turned({"adherence": 0.0, **metrics})
    return [
        f"{k.replace('_', ' ')} {values[k]:.3g}, below {limit.far:.3g}: {FAR[k]:g} times the best reference run's"
        for k, limit in limits.items()
        if values[k] < limit.far
    ]


def numbers(verdict: Verdict, limits: dict[str, Band]) -> str:
    """Return the figures of the metrics that have a limit, as text for a student."""
    m = verdict.metrics
    adherence = f"adherence {m['adherence']:.2f}, " if "error" in limits else ""
    loss = "" if adherence else f", held-out loss {m['heldout_loss']:.3f}"
    return f"{adherence}distance {m['distance']:.2f}{loss}"


def load_bands(path: Path, judge: str) -> dict[str, Band]:
    """Return a judge's limits from a band file."""
    stored = json.loads(path.read_text(encoding="utf-8"))["limits"][judge]
    return {k: Band(**v) for k, v in stored.items()}
