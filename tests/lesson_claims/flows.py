"""Lesson 5.4: the straight path, solvers, reflow, EDM, min-SNR, few steps, the transformer, latents, editing.

The lesson prints its figures where it computes them, so its text quotes none, and there is little to claim: `holds`
judges what the text says of them in words.
"""

from __future__ import annotations

from statistics import fmean

from tests.lesson_claims import Claim

MEASURED = """
_names = ("outside", "euler_order", "heun_order", "found", "my_order", "same", "bends", "miss", "floor", "overshoot",
          "apart_pixels", "away", "capped", "curves", "gaps", "round_trip", "moved", "error", "plain_error")
RESULTS = {"preset": PRESET, "live": live, "equal": list(equal.values())} | {n: globals()[n] for n in _names}
RESULTS["shuffled"] = shuffled.item()
RESULTS["recorded"] = {m: {n: c[n][0] for n in live.get(m, ())} for m, c in curves.items()}
RESULTS["milliseconds"] = {n: 1000 * s for n, s in seconds.items()}
"""


def holds(results: dict) -> None:
    """What the text claims without a number."""
    cosine, even, middle = results["outside"].values()
    assert even > cosine > 10 * middle
    assert abs(results["euler_order"] - 1) < 0.1 and abs(results["heun_order"] - 2) < 0.15
    euler, heun = results["found"]["Euler"], results["found"]["Heun"]
    assert euler[1] > heun[0] and euler[6] > 10 * heun[5] and results["same"] < 1e-12
    first, after = results["bends"].values()
    exact, straightened = results["miss"].values()
    assert first > 50 * after and exact["1"] > 50 * straightened["1"] and straightened["1"] < 5 * results["floor"]
    share, place = zip(*results["overshoot"].values())
    assert share[0] < 0.6 < 0.95 < share[2] and place[0] > -1 > place[2] > place[3]
    assert results["apart_pixels"] < 0.05
    heun_on = results["away"]["Heun, Karras's levels"]
    assert heun_on["4"] > 3 * results["away"]["DDIM, even timesteps"]["4"]
    assert heun_on["32"] < min(curve["32"] for name, curve in results["away"].items() if "Heun" not in name)
    few_steps(results)
    gaps = results["gaps"]["300"]
    assert min(gaps["held-out loss"]) > 0.02 and min(gaps["distance"]) > 5 and max(gaps["adherence"]) < 0
    assert results["shuffled"] < 1e-4 and results["error"] < results["plain_error"] / 5
    scaled, ours, theirs = results["equal"]
    assert ours < scaled < 550 < 850 < theirs
    trips = list(results["round_trip"].values())
    assert trips == sorted(trips, reverse=True) and trips[0] > 10 * trips[-1]
    moved = list(results["moved"].values())
    assert moved == sorted(moved) and moved[-1] > 2 * moved[-2] > 4 * moved[-3]


def few_steps(results: dict) -> None:
    """Min-SNR, and the five methods: what holds in every pair of runs."""
    capped = results["capped"]
    assert len(capped["distance"]) >= 3, "the lesson speaks of three pairs"
    assert max(capped["distance"]) < 0 < min(capped["held-out loss"])  # worse at guessing noise, better at digits
    curves = {name: {n: fmean(v) for n, v in curve.items()} for name, curve in results["curves"].items()}
    ddim, solver, euler, heun, again = curves.values()
    assert min(len(v) for curve in results["curves"].values() for v in curve.values()) >= 3
    assert ddim["1"] == solver["1"] > euler["1"] > 3 * again["1"]
    assert min(curves, key=lambda name: -curves[name].get("2", 0)) == "flow, Heun" and heun["4"] > euler["4"]
    assert abs(euler["4"] - again["4"]) < 0.3 and euler["4"] < solver["4"] < ddim["4"]
    assert abs(euler["50"] - heun["50"]) < 0.1 and euler["50"] < again["50"] and euler["50"] < ddim["50"]
    assert ddim["8"] < ddim["50"] and abs(euler["8"] - euler["50"]) < 0.2
    for method, by_count in results["live"].items():
        for n, value in by_count.items():
            assert abs(value / results["recorded"][method][n] - 1) < 0.05, "the record's numbers come back"


CLAIMS: list[Claim] = []
SETTINGS = ("0.1", "0.2", "70 %", "90 %", "50 %")  # a worked example; levels that the lesson chose
