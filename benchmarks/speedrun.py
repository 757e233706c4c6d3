"""The CPU speedrun on CIFAR-10: how good are the pictures after a given number of images and processor seconds?

    python benchmarks/speedrun.py curve RUN --data cifar10-train-jpeg.zip --heldout cifar10-test-jpeg.zip
    python benchmarks/speedrun.py race build/race --seeds 5 --data ... --heldout ...
    python benchmarks/speedrun.py curve data/checkpoints/cifar10 --quick --data ... --heldout ...     (minutes)

`curve` measures a training run that kept snapshots (`ddpm train --preset cifar10-cpu --snapshot-every 1000`): RUN and
each RUN-STEP, with images, seconds and processor seconds. `race` trains the preset from scratch, one seed at a time,
and compares each with another checkpoint from the same noise: by default the one that ships. Before each seed, half a
minute of that one's training steps shows what they cost on this machine. Each measurement is stored in RUN.jsonl as
soon as it is done, so the same command continues where it stopped. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path

import torch
from cpu_precision import stepping

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.data import ImageData
from ddpm_core.parameterization import V
from ddpm_core.samplers import SampleConfig
from ddpm_core.streams import stream
from ddpm_tools.datasets import load_data
from ddpm_tools.drawing import Drawing
from ddpm_tools.evaluation.candidates import drawn
from ddpm_tools.evaluation.estimates import mean_estimate
from ddpm_tools.evaluation.evaluation import evaluate
from ddpm_tools.evaluation.features import network
from ddpm_tools.evaluation.judges import find_judge
from ddpm_tools.evaluation.metrics import EvaluationConfig
from ddpm_tools.evaluation.reference import reference_for
from ddpm_tools.presets import preset
from ddpm_tools.train.callbacks import CallbackConfig
from ddpm_tools.train.runs import train_run
from ddpm_tools.train.warm_start import training_behind

SHIPPED = DATA_DIR / "checkpoints/cifar10"
EXTRACTORS = {"cifar10-classifier": "classifier", "efficientnet-lite0-320": "efficientnet"}
METRICS = ("adherence", *(f"frechet, {short}" for short in EXTRACTORS.values()))  # in the tables
SCALES, STEPS = (1.0, 2.0), 10  # guidance scales, and steps of DPM-Solver++


def snapshots(run: Path) -> Iterator[Path]:
    """Yield each RUN-STEP in order of steps, then RUN."""
    names = {f.with_suffix("") for f in run.parent.glob(f"{run.name}-[0-9]*.safetensors")}
    yield from sorted(n for n in names if n.name.removeprefix(f"{run.name}-").isdigit())
    if run.with_suffix(".safetensors").is_file():
        yield run


@torch.no_grad()
def heldout_loss(loaded: checkpoint.Loaded, data: ImageData, n: int) -> float:
    """Return the mean squared error of v on n held-out images, evenly over all timesteps, whatever is predicted."""
    diffusion, losses = loaded.diffusion(), []
    schedule = diffusion.schedule
    for i, ids in enumerate(torch.arange(n).split(250)):
        x0, y = data.floats(ids), data.labels[ids]  # (B, C, H, W), (B,)
        t = ((torch.arange(len(ids)) + 0.5) / len(ids) * schedule.timesteps).long()  # (B,)
        eps = torch.randn(x0.shape, generator=stream(7, "held-out", i))
        xt = schedule.q_sample(x0, t, eps)
        output = diffusion.network(xt, t, y)
        x0_hat = diffusion.parameterization.predict_x0(output, xt, t, schedule)
        abar = schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
        v_hat = (abar.sqrt() * xt - x0_hat) / (1 - abar).sqrt()
        losses.append((v_hat - V.compute_training_target(x0, eps, t, schedule)).square().mean((1, 2, 3)))
    return float(torch.cat(losses).mean())


def measured(path: Path, data: ImageData, heldout: ImageData, n: int, seed: int = 0) -> dict:
    """Return the cost and quality of a checkpoint: {"images", "cpu_seconds", "heldout_loss", "w=1": {...}, ...}."""
    loaded, judge = checkpoint.load(path, "cpu"), find_judge(data, None, "cpu")
    told = training_behind(loaded.record)
    row: dict = {
        "name": path.name, "seed": loaded.preset.train.seed, "images": told["images"],
        "seconds": round(60 * told["minutes"]), "cpu_seconds": told["cpu_seconds"], "n": n, "sampling_seed": seed,
        "heldout_loss": round(heldout_loss(loaded, heldout, n), 5),
    }  # fmt: skip
    for w in SCALES:
        how = Drawing(n, w, STEPS, seed, config=SampleConfig("dpm++"), progress=True)
        candidate, found = drawn(path, loaded, data, how), {}
        for name, short in EXTRACTORS.items():
            net = network(name, "cpu")
            metrics = ["frechet", "recall", *(["adherence"] if short == "classifier" else [])]
            reference = reference_for(data, net, None, progress=True)
            judged = evaluate(candidate.source, data, reference, net, candidate.about, judge, EvaluationConfig(metrics))
            for r in judged.results:
                e = r.estimate
                key = r.metric if r.metric == "adherence" else f"{r.metric}, {short}"
                found[key] = [round(v, 4) for v in (e.value, e.low, e.high)]
        row[f"w={w:g}"] = found
    return row


def kept(file: Path) -> dict[tuple, dict]:
    """Return the measurements made so far, by checkpoint, images trained on, images drawn and noise seed."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    return {(r["name"], r["images"], r["n"], r["sampling_seed"]): r for r in rows}


def once(path: Path, file: Path, data: ImageData, heldout: ImageData, n: int, seed: int = 0) -> dict:
    """Return a measurement, read from `file` if it has been made before."""
    images = training_behind(checkpoint.read(path, skip="")[1])["images"]
    if (path.name, images, n, seed) in (known := kept(file)):
        return known[path.name, images, n, seed]
    row = measured(path, data, heldout, n, seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")
    return row


def table(rows: list[dict]) -> str:
    """Return the curve as a Markdown table."""
    columns = ("images", "seconds", "CPU-seconds", "held-out loss", *(f"{m} at w = 1, 2" for m in METRICS))
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for r in rows:
        pairs = [", ".join(f"{r[f'w={w:g}'][m][0]:.2f}" for w in SCALES) for m in METRICS]
        cpu = f"{r['cpu_seconds']:,.0f}" if r["cpu_seconds"] else "unknown"
        lines.append(f"| {r['images']:,} | {r['seconds']:,} | {cpu} | {r['heldout_loss']:.4f} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def pace(path: Path, data: ImageData, least: float = 30.0) -> dict[str, float]:
    """Return what training a checkpoint would cost here, from `least` seconds of its steps in its own precision."""
    loaded = checkpoint.load(path, "cpu")
    told, taken = loaded.record["provenance"], 0
    step = stepping(loaded.preset, data, told["speed"]["bf16"])
    for _ in range(10):  # burn-in
        step()
    wall, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - wall < least:
        step()
        taken += 1
    whole = training_behind(loaded.record)["step"] / taken
    return {"seconds": (time.monotonic() - wall) * whole, "cpu_seconds": (time.process_time() - cpu) * whole}


def compared(pairs: list[tuple[dict, dict]]) -> dict[str, dict[str, list[float]]]:
    """Return ours minus theirs for each metric: of each pair, and the mean with Student's 95 % interval."""
    found = {}
    for w in SCALES:
        for m in (*METRICS, *(f"recall, {short}" for short in EXTRACTORS.values())):
            each = [ours[f"w={w:g}"][m][0] - theirs[f"w={w:g}"][m][0] for ours, theirs in pairs]
            e = mean_estimate(each)
            mean = [round(v, 4) if isfinite(v) else None for v in (e.value, e.low, e.high)]  # one seed has no interval
            found[f"{m}, w={w:g}"] = {"each": [round(d, 4) for d in each], "mean": mean}
    return found


def race(a: argparse.Namespace, data: ImageData, heldout: ImageData) -> dict:
    """Train each seed, measure it beside the other checkpoint from the same noise, and return the differences."""
    base, file, costs = preset(a.preset), a.run.with_suffix(".jsonl"), a.run.with_name(f"{a.run.name}-costs.json")
    known = json.loads(costs.read_text(encoding="utf-8")) if costs.is_file() else []
    paths = [a.run.with_name(f"{a.run.name}-seed{seed}") for seed in range(a.seeds)]
    for seed, path in enumerate(paths):
        if seed == len(known):
            known.append(pace(a.against, data))
            checkpoint.write_text(costs, json.dumps(known))
        recipe = replace(base.train, steps=a.steps or base.train.steps, seed=seed)
        train_run(replace(base, data=str(a.data), split="all", train=recipe), path, "cpu", CallbackConfig())
    both = [[once(p, file, data, heldout, a.n, seed) for p in (path, a.against)] for seed, path in enumerate(paths)]
    print(table([row for pair in both for row in pair]))
    shares = {k: [round(r[k] / cost[k], 3) for (r, _), cost in zip(both, known)] for k in ("seconds", "cpu_seconds")}
    return {"preset": a.preset, "share of the other's cost": shares, "minus the other's": compared(both)}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("curve", "race"))
    p.add_argument("run", type=Path, help="the checkpoint of a training run, without its suffix")
    p.add_argument("--data", type=Path, required=True, help="the 50,000 training images")
    p.add_argument("--heldout", type=Path, required=True, help="the 10,000 test images")
    p.add_argument("--n", type=int, default=2000, help="images drawn; default: 2000")
    p.add_argument("--seeds", type=int, default=5, help="for a race")
    p.add_argument("--preset", default="cifar10-speedrun", help="for a race")
    p.add_argument("--steps", type=int, help="for a race; default: the preset's")
    p.add_argument("--against", type=Path, default=SHIPPED, help="the other checkpoint of a race")
    p.add_argument("--quick", action="store_true", help="200 images; only RUN, or a race of one seed over 20 steps")
    a = p.parse_args()
    if a.quick:
        a.n, a.seeds, a.steps = 200, 1, 20
        a.run = a.run.with_name(f"{a.run.name}-quick") if a.what == "race" else a.run
    try:
        data, heldout = (load_data(str(f), "all", size=32, channels=3) for f in (a.data, a.heldout))
        if a.what == "race":
            print(json.dumps(race(a, data, heldout)))
            return
        paths = [a.run] if a.quick else list(snapshots(a.run))
        rows = [once(path, a.run.with_suffix(".jsonl"), data, heldout, a.n) for path in paths]
    except (ValueError, OSError) as e:
        p.error(str(e))
    except KeyboardInterrupt:
        raise SystemExit("\nspeedrun: interrupted; the same command goes on") from None
    print(table(rows))
    print(json.dumps({"curve": rows}))


if __name__ == "__main__":
    main()
