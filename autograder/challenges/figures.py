"""Means over seeds and paired differences, with 95 % intervals by Student's t.

All designs of a track run on the same seeds, with the same data order, timesteps, noise and initial trunk. So
differences are taken within each seed, where the seed's effect on both cancels. A test only has time for a few seeds.
The spread between seeds, of a figure or a difference, is therefore pooled over the design's own runs and those of the
track's known correct designs, on the assumption that a new design varies as much as these do.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from types import MappingProxyType

from autograder.challenges.examples import EXAMPLES
from autograder.challenges.tracks import METRICS, Track
from autograder.gate.harness import Harness, describe
from autograder.grading.provenance import JUDGES
from ddpm_core.checkpoint import digest
from ddpm_core.config import DATA_DIR
from ddpm_core.streams import derive_seed
from ddpm_tools.evaluation import estimates
from ddpm_tools.evaluation.estimates import Estimate, mean_estimate, paired

Runs = Mapping[int, Mapping[str, float]]  # a design's metrics, by the seed of the run
RUNS = DATA_DIR / "challenges/runs.jsonl"  # all metrics of the known designs, written by benchmarks/tracks.py


def seed_of(track: Track, i: int) -> int:
    """Return every design's i-th seed: that of the gate's i-th calibration run, so that those runs can be paired."""
    return derive_seed("calibration", track.exercise.name, i)


def harness_digest(track: Track, harness: Harness | None = None) -> str:
    """Return the digest of the track's harness, or of `harness`. Only runs with the same digest can be compared."""
    return digest(json.loads(json.dumps(describe(harness or track.harness))))


def judge_name() -> str:
    """Return "judge", the judge of record, or in the students' bundle "course". The two give different figures."""
    return "judge" if JUDGES["judge"].with_suffix(".safetensors").is_file() else "course"


def known_runs(track: Track, file: Path = RUNS) -> dict[str, Runs]:
    """Return the correct designs' runs with this harness, by name.

    They come from the gate's calibration and from benchmarks/tracks.py.
    """
    exercise, right, judge = track.exercise.name, harness_digest(track), judge_name()
    names = {e.file: e.name for e in EXAMPLES if e.track == track.name and e.kind != "wrong"}
    found: dict[str, dict[int, dict[str, float]]] = {}
    calibration = DATA_DIR / f"gates/{exercise}.json"
    gate = {} if track.evaluations else json.loads(calibration.read_text(encoding="utf-8"))
    if gate and digest(gate["harness"]) == right:
        for r in gate["runs"]:
            if r["role"] == "reference":
                name = names.get(r["design"], r["design"].replace("_", "-"))
                found.setdefault(name, {})[r["seed"]] = r["metrics"][judge]
    for r in rows(file):
        if (r["track"], r["harness"], r["judge"]) == (track.name, right, judge) and r.get("metrics"):
            found.setdefault(r["design"], {})[r["seed"]] = r["metrics"]
    return found


def rows(file: Path) -> list[dict]:
    """Return the rows of a file that grows line by line, without the incomplete last line of a killed run."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def values(runs: Runs, metric: str) -> dict[int, float]:
    return {seed: m[metric] for seed, m in runs.items() if metric in m}


def mean_of(runs: Runs, metric: str, known: Mapping[str, Runs] = MappingProxyType({})) -> Estimate | None:
    """Return a design's mean of a metric; None if it was not measured."""
    own, m = list(values(runs, metric).values()), METRICS[metric]
    others = [list(values(r, metric).values()) for r in known.values() if r is not runs]
    return mean_estimate(own, others, m.low, m.top) if own else None


def differences(runs: Runs, base: Runs, metric: str) -> list[float]:
    """Return own - base at every seed that both have."""
    return paired(values(base, metric), values(runs, metric))


def difference(runs: Runs, base: Runs, metric: str, known: Sequence[Runs] = ()) -> Estimate | None:
    """Return the paired difference own - base, its spread pooled with those of `known`; None without a common seed."""
    own = differences(runs, base, metric)
    others = [differences(r, base, metric) for r in known if r is not base and r is not runs]
    return mean_estimate(own, others) if own else None


def verdict(metric: str, d: Estimate | None) -> str:
    """Return "better", "worse" or "not resolved", depending on the interval."""
    return estimates.verdict(d, METRICS[metric].better)


def shown(e: Estimate | None, metric: str) -> str:
    """Return "value [low, high]" with the metric's number of digits."""
    if e is None:
        return "–"
    n = METRICS[metric].digits
    return f"{e.value:.{n}f}" + ("" if e.se is None else f" [{e.low:.{n}f}, {e.high:.{n}f}]")


def order(designs: Mapping[str, Runs], metric: str) -> list[str]:
    """Return the names from best to worst mean."""
    means = {n: fmean(values(r, metric).values()) for n, r in designs.items() if values(r, metric)}
    return sorted(means, key=lambda n: means[n] if METRICS[metric].better == "lower" else -means[n])
