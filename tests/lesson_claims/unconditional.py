"""Lesson 5.1: exact statements in two dimensions, and what the text claims about the small trained networks."""

from __future__ import annotations

from tests.lesson_claims import Claim

MEASURED = """
from ddpm_core.metrics.distances import frechet_distance as _distance
RESULTS = {
    "preset": PRESET, "tweedie": tweedie_error, "eta_1": eta_1_error.item(), "decline": decline, "averages": averages,
    "walk": {
        "apart": (walked - jumped).norm(dim=1).mean().item(),
        "moments": _distance(Moments.of(walked), Moments.of(jumped)),
    },
    "floor": {name: [v[0], v[-1]] for name, v in floor.items()},
    "ill_posed": {f"{name} {kind}": v[-1] for (name, kind), v in off.items()},
    "paths": {"same": same, **length}, "decided": decided, "on_data": on_data(real), "alike": alike,
    "hits": {name: dict(zip(map(str, counts), v)) for name, v in hits.items()},
    "spread": {name: dict(zip(map(str, counts), v)) for name, v in spread.items()},
    "train": {"first": history[0].item(), "last": history[-50:].mean().item()},
    "at_the_end": at_the_end, "initial": 0.9999**STEPS,
    "by_n": {name: [*line.values, line.limit, error] for name, (line, error) in by_n.items()},
    "sweep": {k: {str(n): [x.value, x.low, x.high] for n, x in zip(SWEEP, e)} for k, e in bars.items()},
    "errors": {name: {str(t): [errors[name, s][i] for s in SEEDS] for i, t in enumerate(probes)} for name in NAMES},
    "record": {name: [int((behind[:, i] > 0).sum()), len(behind)] for i, name in enumerate(NAMES)},
    "costs": costs, "ratio": ratio, "by_size": by_size, "fid": fid,
}
"""


def holds(results: dict) -> None:
    """What the text claims without a number."""
    assert results["walk"]["moments"] < 0.01 < 0.5 < results["walk"]["apart"]  # one distribution, other points
    linear, cosine = results["decline"]["linear"], results["decline"]["cosine"]
    assert linear["half"] < cosine["half"] and linear["faint"] > 2 * cosine["faint"]
    assert results["tweedie"] < 1e-9 and results["eta_1"] < 1e-9
    assert all(m["apart"] < 0.1 and m["pairs"] > 100 for m in results["averages"].values())
    floor = results["floor"]
    assert min(floor["epsilon"][0], floor["x0"][1], *floor["v"]) > 0.8 > 0.05 > max(floor["epsilon"][1], floor["x0"][0])
    assert max(results["ill_posed"][f"{name} 0.01"] for name in ("v", "x0")) < 0.011
    paths, decided = results["paths"], {int(t): share for t, share in results["decided"].items()}
    assert paths["DDPM"] > 1.5 * paths["DDIM"] and 0.35 < paths["same"] < 0.65
    assert decided[999] < 0.65 and decided[699] < 0.75 and decided[199] > 0.85
    hits, spread = results["hits"], results["spread"]
    assert all(h["10"] > 0.9 and h["200"] > 0.95 for h in hits.values())
    assert all(abs(hits["DDPM"][n] - hits["DDIM"][n]) < 0.1 for n in hits["DDPM"]) and spread["DDIM"]["2"] < 0.9
    assert results["alike"]["502"] > results["alike"]["520"] > results["alike"]["900"]
    assert results["train"]["first"] > 0.8 > 0.4 > results["train"]["last"]
    end = results["at_the_end"]
    warm, raw = end["EMA with warm-up"], end["raw weights"]
    assert end["EMA 0.9999, no warm-up"] > 3 * warm and warm < 1.2 * raw
    assert raw < end["EMA 0.99, no warm-up"]  # it lags behind
    by_n = results["by_n"]  # fewest images ... all of them, the line's end, its error
    assert len(by_n) == 2 and all(v[0] > v[-3] > v[-2] for v in by_n.values())
    assert abs(by_n["real, held out"][-2]) < 2 * by_n["real, held out"][-1], "0 lies within the error"
    sweep = results["sweep"]
    assert sweep["DDIM"]["1"][0] > 2 * sweep["DDIM"]["20"][0]
    assert sweep["DDIM"]["2"][2] < sweep["DDPM"]["2"][1], "at 2 steps DDIM is ahead"
    one, other = sweep["DDPM"]["5"], sweep["DDIM"]["5"]
    assert one[1] < other[2] and other[1] < one[2], "at 5 steps the two are equal within the bars"
    assert sweep["DDPM"]["50"][2] < sweep["DDIM"]["50"][1], "at 50 steps DDPM is ahead beyond the bars"
    error = results["errors"]
    assert min(error["epsilon"]["999"]) > 10 * max(*error["v"]["999"], *error["x0"]["999"])
    assert min(error["x0"]["5"]) > 2 * max(*error["epsilon"]["5"], *error["v"]["5"])
    fid = results["fid"]
    assert all(2 <= b - a <= 3 for a, b in zip(fid["architecture"]["standard"], fid["architecture"]["no-attn"]))
    better = [a < b for a, b in zip(fid["architecture"]["full-attn"], fid["architecture"]["standard"])]
    assert better == [True, False, False]
    assert all(values[0] > 1.8 * values[1] for rows in fid.values() for values in rows.values())
    assert all(a < b < c for a, b, c in zip(*(fid["prediction"][k] for k in ("epsilon", "vpred", "x0pred"))))
    assert 8_000_000 < results["costs"]["published, small"]["parameters"] < 10_000_000
    assert all(w[0] < w[1] < w[2] for w in zip(*results["by_size"].values()))


CLAIMS = (
    Claim("schedules-reading", r"at about \$t\$ = (\d+), and some (\d+) of",
          lambda r: [r["decline"]["linear"]["half"], r["decline"]["linear"]["faint"]], 6),
    Claim("schedules-reading", r"ends at ([\d.]+)e-10", lambda r: [1e10 * r["decline"]["cosine"]["end"]], 0.05),
    Claim("ill-posed-reading", r"error of about (\d+) in an image", lambda r: [r["ill_posed"]["epsilon 0.01"]], 10),
    Claim("floor-reading", r"is ([\d.]+)e-10", lambda r: [1e10 * r["decline"]["cosine"]["end"]], 0.05),
    Claim("ill-posed-reading", r"SNR, ([\d.]+)e-10", lambda r: [1e10 * r["decline"]["cosine"]["end"]], 0.05),
    Claim("paths-reading", r"699\$ on, (\d+) % .* from \$t = 199\$ on, (\d+) %",
          lambda r: [100 * r["decided"][t] for t in ("699", "199")], 3),
    Claim("paths-reading", r"it is (\d+) %\)", lambda r: [100 * r["on_data"]], 0.6),
    Claim("ema-reading", r"still ([\d.]+) % random initialisation", lambda r: [100 * r["initial"]], 0.06),
    Claim("compare-reading", r"`x0` in all (\d+) reruns", lambda r: [r["record"]["x0"][0]], 0),
    Claim("compare-reading", r"those of `v` in (\d+) of (\d+)", lambda r: r["record"]["v"], 0),
)  # fmt: skip
# An error that is put in, decays, FIDs from a paper, speeds of machines.
SETTINGS = ("0.01", "2.4e-10", "0.000015", "0.9999", "0.99", "4.04", "4.73", "3.17")
