"""What the stored runs of the gates say: error rates, processor seconds, and the order of designs.

The runs are made by gate_calibration.py, which explains the figures.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from statistics import fmean, median

from scipy.stats import spearmanr

from autograder.authoring.references import names
from autograder.exercises import EXERCISES, gate_of
from autograder.exercises.base import Exercise
from autograder.gate.bands import Band, judge_run, load_bands
from autograder.gate.harness import Harness, describe
from autograder.grading.grader import band_file
from ddpm_core.checkpoint import digest

RUNS = Path(__file__).resolve().parents[1] / "data/gates/runs.jsonl"
BY_NAME = {e.name: e for e in EXERCISES.values() if e.gate_cell}
GATED = tuple(BY_NAME)
SHORT = {True: ("right", "wrong"), False: ("whole",)}  # by one_look, the kinds of runs compared with long ones
GRADED = ("right", "wrong", "bank")  # kinds of runs that stop as a submission's run does


@dataclass(frozen=True)
class Setting:
    """The settings of runs. Those with another `key` say nothing about it. Where a run stops depends on the limits."""

    harness: Harness
    enough: int  # steps of a run of ordinary length
    limits: dict[str, Band]
    key: str


@cache
def setting(name: str, one_look: bool) -> Setting:
    """Return the setting for an exercise's submissions, or for its challenge track."""
    gate, exercise = gate_of(name), BY_NAME[name]
    harness = gate.harness if one_look else gate.graded()[0]
    enough = harness.ends[-1] if one_look else gate.enough or harness.ends[-1]
    limits = load_bands(band_file(exercise, one_look), "judge")
    about = describe(harness) | ({"limits": {k: asdict(b) for k, b in limits.items()}} if harness.looks else {})
    return Setting(harness, enough, limits, digest(about)[:12])


def read(file: Path, exercises: list[Exercise], one_look: bool = False) -> list[dict]:
    """Return the stored runs with the present harnesses and limits.

    Some say `earlier_limits`: they were made when half credit reached further. With the present limits, each would have
    ended at the same look, or earlier without credit. So the credit that the present limits give where it ended is the
    most that it could get.
    """
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    keys = {e.name: setting(e.name, one_look).key for e in exercises}
    return [r for r in rows if r["harness"] == keys.get(r["exercise"])]


def share(row: dict, one_look: bool = False) -> float:
    """Return the credit that the gate gives with the present limits."""
    if "failed" in row:
        return 0.0
    return judge_run(row["metrics"]["judge"], setting(row["exercise"], one_look).limits).share


def wilson(hits: int, n: int, z: float = 1.96) -> list[float]:
    """Return the 95 % interval of a rate (Wilson 1927)."""
    if n == 0:
        return [0.0, 1.0]
    p, z2 = hits / n, z * z
    centre, half = p + z2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return [round(max(0.0, centre - half) / (1 + z2 / n), 4), round((centre + half) / (1 + z2 / n), 4)]


def correlations(rows: list[dict], one_look: bool = False) -> dict[str, dict]:
    """Return Spearman's rho of the distances of short and long runs, for exercises with at least four such designs."""
    found = {}
    for name in dict.fromkeys(r["exercise"] for r in rows):
        long, short = distances(rows, name, ("long",)), distances(rows, name, SHORT[one_look])
        both = [d for d in long if d in short]
        if len(both) >= 4:
            rho = float(spearmanr([short[d] for d in both], [long[d] for d in both])[0])
            found[name] = {"rho": round(rho, 3), "interval": spearman_interval(rho, len(both)), "designs": len(both)}
    return found


def distances(rows: list[dict], exercise: str, kinds: tuple[str, ...]) -> dict[str, float]:
    """Return the mean Fréchet distance of each design's runs of these kinds."""
    own = [r for r in rows if r["exercise"] == exercise and r["kind"] in kinds and "metrics" in r]
    seen: dict[str, list[float]] = {}
    for r in own:
        seen.setdefault(r["design"], []).append(r["metrics"]["judge"]["distance"])
    return {d: fmean(values) for d, values in seen.items()}


def spearman_interval(rho: float, n: int, z: float = 1.96) -> list[float]:
    """Return the 95 % interval of a rank correlation of n >= 4 pairs (Bonett & Wright 2000, eq. 3)."""
    middle, half = math.atanh(min(max(rho, -0.9999), 0.9999)), z * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return [round(math.tanh(middle - half), 3), round(math.tanh(middle + half), 3)]


def seconds(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Return the median and worst processor seconds of runs, by processor. The earliest runs do not name it."""
    found: dict[str, list[float]] = {}
    for r in rows:
        if "cpu_s" in r:
            found.setdefault(r.get("cpu", "not recorded"), []).append(r["cpu_s"])
    return {cpu: {"median": round(median(s), 1), "worst": round(max(s), 1)} for cpu, s in found.items()}


def figures(rows: list[dict], one_look: bool = False) -> dict:
    """Return error rates, processor seconds and rank correlations of the runs in `rows`."""
    short = [r for r in rows if r["kind"] in SHORT[True]]
    right, wrong = ([r for r in short if r["kind"] == kind] for kind in SHORT[True])
    credit = partial(share, one_look=one_look)
    fails, none = sum(credit(r) < 1 for r in right), sum(credit(r) == 0 for r in right)
    passes, full = sum(credit(r) > 0 for r in wrong), sum(credit(r) == 1 for r in wrong)
    fresh = [r for r in right if r["design"] not in names(r["exercise"], "reference")]
    missed, known = sum(credit(r) < 1 for r in fresh), [r for r in rows if r["kind"] == "bank"]
    return {
        "runs": len(short), "right": len(right), "wrong": len(wrong),
        "false_fail": round(fails / max(1, len(right)), 4), "false_fail_interval": wilson(fails, len(right)),
        "false_fail_without_credit": none,
        "designs_that_set_no_limit": {"runs": len(fresh), "fails": missed, "interval": wilson(missed, len(fresh))},
        "false_pass": round(passes / max(1, len(wrong)), 4), "false_pass_interval": wilson(passes, len(wrong)),
        "false_passes": passes, "false_pass_with_full_credit": full,
        "cpu_s_right": seconds(right), "cpu_s_wrong": seconds(wrong),
        "bank": {"wrong": len(known), "with_credit": sum(credit(r) > 0 for r in known)},
        "rank_correlations": correlations(rows, one_look),
    }  # fmt: skip


def print_credit(rows: list[dict], one_look: bool = False) -> None:
    """Print the credit of each design in each of its runs."""
    short = [r for r in rows if r["kind"] in GRADED]
    for key in dict.fromkeys((r["exercise"], r["kind"], r["design"]) for r in short):
        shares = [share(r, one_look) for r in short if (r["exercise"], r["kind"], r["design"]) == key]
        print(f"{key[0]:13} {key[1]:6} {key[2]:38} credit {' '.join(f'{s:g}' for s in shares)}")
