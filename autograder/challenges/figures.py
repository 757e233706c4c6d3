"""Means over seeds and paired differences, with 95 % intervals by Student's t.

All designs of a track run on the same seeds, with the same data order, timesteps, noise and initial trunk; so a
difference is taken within each seed, where what the seed does to both cancels. A test has time for few seeds. How far a
figure, or a difference, scatters from seed to seed is therefore pooled over the design's own runs and those of the
track's known right designs: the assumption is that a new design scatters as these do.
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

Runs = Mapping[int, Mapping[str, float]]  # the metrics of a design by the seed of its run
RUNS = DATA_DIR / "challenges/runs.jsonl"  # of the known designs, all metrics: benchmarks/tracks.py


def seed_of(track: Track, i: int) -> int:
    """The i-th seed of every design: that of the gate's i-th calibration run, so that those runs can be paired."""
    return derive_seed("calibration", track.exercise.name, i)


def harness_digest(track: Track, harness: Harness | None = None) -> str:
    """What runs must have been made with to be compared: the track's harness, or this one."""
    return digest(json.loads(json.dumps(describe(harness or track.harness))))


def judge_name() -> str:
    """The judge of record, or, in the students' bundle, the course's own classifier: figures of the two differ."""
    return "judge" if JUDGES["judge"].with_suffix(".safetensors").is_file() else "course"


def known_runs(track: Track, file: Path = RUNS) -> dict[str, Runs]:
    """The right designs' runs by name: of this harness, from the gate's calibration and from benchmarks/tracks.py."""
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
    """The rows of a file that grows line by line; the torn last one of a killed run is left out."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def values(runs: Runs, metric: str) -> dict[int, float]:
    return {seed: m[metric] for seed, m in runs.items() if metric in m}


def mean_of(runs: Runs, metric: str, known: Mapping[str, Runs] = MappingProxyType({})) -> Estimate | None:
    """A design's mean of a metric; None where it was not measured."""
    own, m = list(values(runs, metric).values()), METRICS[metric]
    others = [list(values(r, metric).values()) for r in known.values() if r is not runs]
    return mean_estimate(own, others, m.low, m.top) if own else None


def differences(runs: Runs, base: Runs, metric: str) -> list[float]:
    """own - base at every seed that both have."""
    return paired(values(base, metric), values(runs, metric))


def difference(runs: Runs, base: Runs, metric: str, known: Sequence[Runs] = ()) -> Estimate | None:
    """The paired difference own - base, its scatter pooled with those of `known`; None without a common seed."""
    own = differences(runs, base, metric)
    others = [differences(r, base, metric) for r in known if r is not base and r is not runs]
    return mean_estimate(own, others) if own else None


def verdict(metric: str, d: Estimate | None) -> str:
    """better, worse, or not resolved: in words, as an interval allows."""
    return estimates.verdict(d, METRICS[metric].better)


def shown(e: Estimate | None, metric: str) -> str:
    """value [low, high], with as many digits as the metric has."""
    if e is None:
        return "–"
    n = METRICS[metric].digits
    return f"{e.value:.{n}f}" + ("" if e.se is None else f" [{e.low:.{n}f}, {e.high:.{n}f}]")


def order(designs: Mapping[str, Runs], metric: str) -> list[str]:
    """Names from best to worst mean."""
    means = {n: fmean(values(r, metric).values()) for n, r in designs.items() if values(r, metric)}
    return sorted(means, key=lambda n: means[n] if METRICS[metric].better == "lower" else -means[n])
