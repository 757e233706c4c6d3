"""What can a challenge test resolve? The quick tier's ranking of the known designs, and the differences it resolves.

    python benchmarks/tracks.py                      (5 seeds of every design, about an hour on one core; resumes)
    python benchmarks/tracks.py --every-metric       (also those that the gate's calibration has trained: another hour)
    python benchmarks/tracks.py --track prediction   (one track)
    python benchmarks/tracks.py --track few-steps-4 --seeds 6   (nothing is trained: minutes; also with --judge course)
    python benchmarks/tracks.py --quick              (1 seed of every baseline, 10 minutes)
    python benchmarks/tracks.py --report             (the figures of the runs so far; trains nothing)

Every design runs on the same seeds: the same data order, timesteps, noise and initial trunk. Each run goes through the
sandbox and is appended to data/challenges/runs.jsonl as soon as it is done. The gate's calibration runs, made with the
same harness on the same seeds, are used as well; they have no KID, precision or recall. Differences are taken within
seeds, with Student's 95 % intervals, without correction for the number of pairs. A pair is resolved if the interval
does not contain zero. The designs that pass the quick gate are listed in data/challenges/gate.json, which full-scale
training reads. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from autograder.challenges import figures, pictures, quick, testing
from autograder.challenges.examples import Example, examples
from autograder.challenges.leaderboard import SAMPLES
from autograder.challenges.tracks import METRICS, TRACKS, Track
from autograder.grading.provenance import JUDGES
from ddpm_core.checkpoint import write_text
from ddpm_tools.outputs import json_text
from ddpm_tools.tables import aligned
from ddpm_tools.train import quick_gate


def plan(
    tracks: list[Track], seeds: int, kinds: tuple[str, ...], file: Path, again: bool = False, judge: str | None = None
) -> Iterator[tuple[Track, Example, int]]:
    """Yield the runs that are missing, seed by seed, so that an interrupted benchmark has pairs.

    With `again`, a run from the gate's calibration does not count as there.
    """
    judge = judge or figures.judge_name()
    done = {(r["track"], r["design"], r["seed"], r["harness"], r["judge"]) for r in figures.rows(file)}
    if not again:
        for t in tracks:
            made_with = figures.harness_digest(t), judge
            done |= {(t.name, n, seed, *made_with) for n, runs in figures.known_runs(t, file).items() for seed in runs}
    for i in range(seeds):
        for t in tracks:
            made_with = figures.harness_digest(t), judge
            for e in examples(t.name, *kinds):
                if (t.name, e.name, figures.seed_of(t, i), *made_with) not in done:
                    yield t, e, i


def measure(t: Track, e: Example, i: int, sandboxed: bool, judge: str | None = None) -> dict:
    """Make one run and return its row. The first seed's samples become the leaderboard's picture."""
    judge = judge or figures.judge_name()
    o = quick.run(quick.Job(t.name, e.cells(), figures.seed_of(t, i), judge, sandboxed))
    if o.ours:
        raise SystemExit(f"{t.name}, {e.name}: {o.reason}")
    if i == 0 and o.images is not None:
        pictures.of_samples(t, o.images, SAMPLES / f"{t.name}-{e.name}.png")
    made_with = {"harness": figures.harness_digest(t), "judge": judge, "sandboxed": sandboxed}
    about = {"track": t.name, "design": e.name, "rerun": i, "seed": o.seed, **made_with}
    return {**about, "metrics": o.metrics, "reason": o.reason, "seconds": round(o.seconds, 1)}


def append(file: Path, row: dict) -> None:
    """Add a row, and remove the incomplete last line that a killed run may have left."""
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = file.read_bytes().rpartition(b"\n")[:2] if file.is_file() else ()
    with file.open("ab") as f:
        f.truncate(sum(map(len, whole)))
        f.write(json.dumps(row).encode() + b"\n")
        f.flush()
        os.fsync(f.fileno())


def report(t: Track, file: Path) -> dict:
    """Print a track's ranking and its pairs, and return the same as plain values."""
    known = figures.known_runs(t, file)
    shown = [m for m in t.metrics if any(figures.values(r, m) for r in known.values())]
    lines = [["design", "seeds", *(METRICS[m].title for m in shown)]]
    ranking = figures.order(known, "distance")
    for name in ranking:
        lines.append([name, str(len(known[name]))])
        lines[-1] += [figures.shown(figures.mean_of(known[name], m), m) for m in shown]
    print("\n".join([f"\n{t.name}, from the smallest Fréchet distance", *aligned(lines)]))
    pairs = [p for m in shown for p in pairs_of(known, ranking, m)]
    for p in pairs:
        told = f"{p['a']} {p['verdict']} than {p['b']}" if p["resolved"] else f"{p['a']} and {p['b']} not resolved"
        n = METRICS[p["metric"]].digits + 1
        print(f"  {METRICS[p['metric']].title}: {told}: {p['difference']:+.{n}f} [{p['low']:.{n}f}, {p['high']:.{n}f}]")
    missing = [e.name for e in examples(t.name) if len(known.get(e.name, {})) < 5]
    if missing:
        print(f"  outstanding, with fewer than 5 seeds: {', '.join(missing)}")
    return {"ranking": ranking, "seeds": {n: len(known[n]) for n in ranking}, "pairs": pairs, "outstanding": missing}


def pairs_of(known: dict, ranking: list[str], metric: str) -> Iterator[dict]:
    """Yield the paired difference a - b of every two designs with at least two common seeds."""
    for b, a in combinations(ranking, 2):
        d = figures.difference(known[a], known[b], metric)
        if d is not None and d.se is not None:
            verdict = figures.verdict(metric, d)
            values = {"difference": round(d.value, 5), "low": round(d.low, 5), "high": round(d.high, 5)}
            names = {"metric": metric, "a": a, "b": b, "verdict": verdict, "resolved": verdict != "not resolved"}
            yield {**names, **values, "seeds": len(figures.differences(known[a], known[b], metric))}


def passes(t: Track, file: Path) -> dict[str, dict]:
    """Return for each design whether its mean over seeds passes the quick gate, as full scale requires."""
    known = figures.known_runs(t, file)
    told = {name: testing.gate(t, known[name]) for e in examples(t.name) if (name := e.name) in known}
    return {n: {"passed": passed, "seeds": len(known[n]), "reason": why} for n, (passed, why) in told.items()}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="one seed of every baseline")
    p.add_argument("--track", choices=tuple(TRACKS), action="append", help="default: all")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--every-metric", action="store_true", help="train again what the gate's calibration has trained")
    p.add_argument("--judge", choices=tuple(JUDGES), help="default: the judge of record, or course in the bundle")
    p.add_argument("--report", action="store_true", help="train nothing")
    p.add_argument("--limit", type=int, help="at most this many new runs")
    p.add_argument("--unsandboxed", action="store_true", help="the designs are ours; every row records this")
    p.add_argument("--out", type=Path, default=figures.RUNS, help="default: data/challenges/runs.jsonl")
    a = p.parse_args()
    tracks = [TRACKS[name] for name in a.track or TRACKS]
    kinds = ("baseline",) if a.quick else ()
    again = a.every_metric or a.quick or a.judge is not None
    todo = [] if a.report else list(plan(tracks, 1 if a.quick else a.seeds, kinds, a.out, again, a.judge))[: a.limit]
    for done, (t, e, i) in enumerate(todo, 1):
        row = measure(t, e, i, not a.unsandboxed, a.judge)
        append(a.out, row)
        print(f"{done} of {len(todo)}: {t.name}, {e.name}, seed {i}: {row['metrics'] or row['reason']}", flush=True)
    found = {t.name: report(t, a.out) for t in tracks}
    if a.out == figures.RUNS:
        kept = {
            "command": "python benchmarks/tracks.py --report",
            "designs": {n: passes(t, a.out) for n, t in TRACKS.items() if not t.evaluations},
        }
        write_text(quick_gate.PASSES, json.dumps(kept, indent=1) + "\n")
    told = {n: {k: v for k, v in f.items() if k != "pairs"} for n, f in found.items()}
    for name, f in found.items():
        told[name] |= {"pairs": len(f["pairs"]), "resolved": sum(q["resolved"] for q in f["pairs"])}
    print(json_text({"benchmark": "tracks", "quick": a.quick, "tracks": told}))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\ntracks: interrupted; the same command goes on") from None
