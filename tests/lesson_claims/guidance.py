"""Lesson 5.2: the plane, the sweep, the interval, autoguidance, dropped labels."""

from __future__ import annotations

from itertools import pairwise

from tests.lesson_claims import Claim

MEASURED = """
def _values(figures):
    return {m: f.estimate.value for m, f in figures.items()}

_each, _whole = dropped(0.15, 128)
RESULTS = {
    "preset": PRESET, "bayes_error": bayes_error, "flat": flat, "levels": levels, "gaps": gaps, "to_move": to_move,
    "back": back, "coins": [_each.std().item(), _whole.std().item()],
    "sweep": {str(w): _values(f) for w, f in sweep.items()},
    "intervals": {k: {"evaluations": evaluations(INTERVALS[k]), **_values(f)} for k, f in intervals.items()},
    "middle": {str(w): _values(f) for w, f in in_the_middle.items()}, "middle_cost": evaluations(MIDDLE),
    "auto": {str(w): _values(f) for w, f in auto.items()},
    "repaired": {k: _values(f) for k, f in repaired.items()}, "ink": ink,
    "share": {str(w): {str(p): _values(f) for p, f in zip(SHARES, found)} for w, found in by_scale.items()},
}
"""


def holds(results: dict) -> None:
    """What the text claims without a number."""
    assert results["bayes_error"] < 1e-9 and results["coins"][1] > 5 * results["coins"][0]
    flat, to_move = results["flat"], results["to_move"]
    assert flat["1"]["moved"] < 1.4 * flat["1"]["chance"] < 0.2 and flat["8"]["moved"] > 0.85
    assert flat["2"]["moved"] > 2.5 * flat["2"]["chance"]
    assert flat["4"]["crowded"][0] < 0.03 and flat["8"]["crowded"][1] > 0.25  # a mode lost, which the formula keeps
    assert flat["4"]["centre"][0] < -1.05 < flat["4"]["centre"][1]
    assert to_move["exact denoiser of (5)"] < 0.2 < to_move["guided, then shaken"] < 0.6 < to_move["guided"]
    gap = dict(zip(results["levels"], results["gaps"]["4"]))
    assert 300 <= max(gap, key=gap.get) <= 400 and max(gap.values()) > 1.2 and max(results["gaps"]["1"]) < 0.02
    sweep = {float(w): f for w, f in results["sweep"].items()}
    assert set(sweep) == {1, 1.25, 1.5, 2, 4, 6, 8, 10}
    frechet, precision, recall, adherence = (
        {w: f[m] for w, f in sweep.items()} for m in ("frechet", "precision", "recall", "adherence")
    )
    assert abs(frechet[1.25] - frechet[1]) < 0.5 and frechet[10] > 3 * frechet[1]
    assert min(frechet.values()) > frechet[1] - 0.3  # guidance never improves it
    assert frechet[1] < frechet[2] < frechet[4] < frechet[8]
    assert precision[10] < precision[1] < precision[2] and recall[4] < 0.5
    assert recall[1] > recall[1.25] > recall[1.5] > recall[2] and sweep[10]["diversity"] > sweep[4]["diversity"]
    assert recall[1.5] > 0.75 and adherence[1.25] > 0.985  # "nearly every image", "about four fifths"
    most = results["intervals"]["200 to 800"]
    assert most["evaluations"] == 16 and most["adherence"] > 0.99
    assert most["frechet"] < frechet[4] and most["recall"] > recall[4]
    three = [f for name, f in results["intervals"].items() if name.startswith("three")]
    assert len(three) == 3 and all(f["adherence"] > 0.97 for f in three)
    assert max(three, key=lambda f: f["recall"]) is three[0], "the early steps cost the least recall"
    # one trade-off: at each interval's distance, the recall of guidance everywhere is about the same
    for f in results["middle"].values():
        assert abs(f["recall"] - along(frechet, recall, f["frechet"])) < 0.08
    auto = results["auto"]
    assert all(f["adherence"] < adherence[1] + 0.03 and f["recall"] > recall[1] - 0.1 for f in auto.values())
    assert auto["2"]["precision"] > precision[1] + 0.02 and recall[1] - recall[2] > recall[1] / 4
    assert auto["1.5"]["frechet"] < 1.25 * frechet[1] < auto["3"]["frechet"]
    plus = results["repaired"]["CFG++, lam = 0.6"]
    assert abs(plus["recall"] - recall[2]) < 0.12 and 0.6 < plus["frechet"] / frechet[2] < 1.5
    assert abs(results["ink"]["w = 8, rescale 0.7"] / results["ink"]["w = 8"] - 1) < 0.1
    share = results["share"]
    assert share["3.0"]["0.0"]["frechet"] > 2 * share["1.0"]["0.0"]["frechet"]
    assert share["3.0"]["0.0"]["adherence"] > share["1.0"]["0.0"]["adherence"]
    assert share["1.0"]["0.9"]["adherence"] < 0.5 < 0.7 < share["1.0"]["0.02"]["adherence"]
    assert share["0.0"]["0.0"]["frechet"] > 2 * share["0.0"]["0.9"]["frechet"]
    assert all(share["3.0"][p]["frechet"] < 1.3 * share["1.0"][p]["frechet"] for p in ("0.02", "0.15", "0.5"))


def along(x: dict, y: dict, at: float) -> float:
    """y where x is `at`, on straight lines between the points of rising x."""
    points = sorted((x[k], y[k]) for k in x)
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= at <= x1:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    raise ValueError(f"{at} lies outside of the curve")


def at_w(metric: str, *scales: str, factor: float = 1):
    return lambda r: [factor * r["sweep"][w][metric] for w in scales]


CLAIMS = (
    Claim("sweep-reading", r"about ([\d.]+) % at \$w = 1\$ to ([\d.]+) % at 1.25 and ([\d.]+) % at 1.5",
          at_w("adherence", "1", "1.25", "1.5", factor=100), 0.6),
    Claim("sweep-reading", r"from ([\d.]+) at \$w = 1\$ to ([\d.]+) at 1.25, ([\d.]+) at 1.5, ([\d.]+) at 2",
          at_w("recall", "1", "1.25", "1.5", "2"), 0.025),
    Claim("interval-reading", r"at \$w = 4\$ have adherence ([\d.]+), recall ([\d.]+) and distance ([\d.]+);",
          lambda r: [r["middle"]["4"][m] for m in ("adherence", "recall", "frechet")], 0.06),
    Claim("interval-reading", r"at \$w = 1.5\$ have ([\d.]+), ([\d.]+) and ([\d.]+)\.",
          lambda r: [r["sweep"]["1.5"][m] for m in ("adherence", "recall", "frechet")], 0.06),
    Claim("interval-reading", r"least recall \(([\d.]+)\)", lambda r: [max(
        f["recall"] for name, f in r["intervals"].items() if name.startswith("three early"))], 0.03),
    Claim("interval-reading", r"for (\d+) evaluations", lambda r: [r["middle_cost"]], 0),
    Claim("controls-reading", r"about (\d+) %", lambda r: [100 * r["back"]], 3),
)  # fmt: skip
SETTINGS = ("1.25", "1.5", "0.02", "0.15", "0.5", "0.9", "0.1", "0.2", "0.6", "95 %")  # scales, shares, intervals
