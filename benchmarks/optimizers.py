"""Compares Muon with AdamW: held-out loss after equally many images, and the time to reach AdamW's last loss.

    python benchmarks/optimizers.py --data cifar10-train-jpeg.zip       (40 minutes on one core)
    python benchmarks/optimizers.py --quick                             (the emoji that ship, three seeds)

All runs of a seed start from the same weights and see the same images, timesteps and noise. The network is the inside
of the preset `cifar10-cpu`, on pictures of 16×16. The loss is the preset's, of the averaged weights, on images that are
held out. Processor seconds are those of the training steps alone. Each run is stored in OUT as soon as it is done, so
the same command continues where it stopped. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

from cpu_precision import heldout_loss

from ddpm_core import checkpoint
from ddpm_core.config import Preset
from ddpm_core.data import ImageData
from ddpm_core.training import TrainConfig, train
from ddpm_core.unet import UNetConfig
from ddpm_tools.datasets import load_data
from ddpm_tools.outputs import json_text
from ddpm_tools.presets import preset
from ddpm_tools.train.engine import FastEngine, start
from ddpm_tools.train.objectives import objective
from ddpm_tools.train.speed import Speed

POINTS = 8  # measurements of a run


@dataclass(frozen=True)
class Variant:
    """What differs between two runs."""

    optimizer: str = "adamw"
    lr: float = 1e-3
    batch_size: int = 64

    def __str__(self) -> str:
        return f"{self.optimizer}, lr {self.lr:g}, batch {self.batch_size}"


BASE = Variant()
VARIANTS = (
    BASE,
    Variant(lr=2e-3),
    Variant("muon"),
    Variant("muon", 2e-3),
    Variant("muon", 4e-3),
    Variant("muon", 2e-3, 32),
)
SMALL = UNetConfig(image_size=16, channels=(32, 64, 64), blocks_per_level=1, attention_levels=(1,), cond_dim=128)
INSIDE = replace(SMALL, channels=(64, 128, 128), cond_dim=256)


def recipe(v: Variant, unet: UNetConfig, images: int, seed: int) -> Preset:
    """The preset's recipe at this size, with the variant's changes."""
    steps = images // v.batch_size
    config = TrainConfig(
        steps, v.batch_size, lr=v.lr, warmup=steps // 10, p_uncond=0.1, ema_decay=1 - 8 / steps, flip=True, seed=seed
    )
    return replace(preset("cifar10-cpu"), conditioning="concat-film", optimizer=v.optimizer, unet=unet, train=config)


def run(config: Preset, data: ImageData, heldout: ImageData) -> list[tuple[int, float, float]]:
    """Train; [(images seen, processor seconds, held-out loss)] at POINTS evenly spaced steps."""
    diffusion = config.diffusion(checkpoint.network_of(config))
    loss, times = objective(config, diffusion.parameterization)
    state, speed = start(diffusion, config.train, Speed(bf16=False), optimizer=config.optimizer)
    engine, found, spent = FastEngine(state, speed, config.train), [], 0.0
    at = {config.train.steps * (i + 1) // POINTS for i in range(POINTS)}
    began = time.process_time()
    for step in train(state, engine.batches(data, 0), config.train, loss, times, engine):
        if step.step in at:
            spent += time.process_time() - began
            value = heldout_loss(state.averaged, heldout, 1000, loss)
            found.append((step.step * config.train.batch_size, round(spent, 1), value))
            began = time.process_time()
    return found


def reached(points: list[tuple[int, float, float]], goal: float, axis: int) -> float | None:
    """Images (axis 0) or seconds (axis 1) until the loss first falls to the goal, on straight lines between points."""
    for before, after in pairwise(points):
        if after[2] <= goal < before[2]:
            return before[axis] + (after[axis] - before[axis]) * (before[2] - goal) / (before[2] - after[2])
    return None


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="within five minutes")
    p.add_argument("--data", default="emoji")
    p.add_argument("--images", type=int, default=25_600, help="images that each run sees")
    p.add_argument("--out", type=Path, default=Path("build/optimizers.jsonl"))
    a = p.parse_args()
    variants, seeds, images, unet = (VARIANTS, (0,), a.images, INSIDE)
    if a.quick:
        variants, seeds, images, unet = (BASE, Variant(lr=2e-3), Variant("muon", 2e-3)), (0, 1, 2), 3_200, SMALL
    if a.images < 1_000:
        p.error("--images must be at least 1000")
    try:
        data, heldout = (load_data(a.data, split, size=16) for split in ("train", "heldout"))
    except ValueError as e:
        p.error(str(e))
    run(recipe(BASE, unet, 512, 0), data, heldout)  # burn-in
    a.out.parent.mkdir(parents=True, exist_ok=True)
    stored = [json.loads(x) for x in a.out.read_text().splitlines()] if a.out.exists() and not a.quick else []
    rows = []
    for seed in seeds:
        for v in variants:
            key = {"seed": seed, "data": Path(a.data).name, "total": images, **asdict(v)}
            row = next((r for r in stored if r.items() >= key.items()), None)
            if row is None:
                row = key | {"points": run(recipe(v, unet, images, seed), data, heldout)}
                if not a.quick:
                    with a.out.open("a") as f:
                        f.write(json.dumps(row) + "\n")
            rows.append(row)
            base = next(r for r in rows if r["seed"] == seed)["points"]
            shares = [reached(row["points"], base[-1][2], axis) for axis in (0, 1)]
            row["shares"] = [s and round(s / base[-1][axis], 3) for axis, s in enumerate(shares)]
            images_of, time_of = row["shares"]
            reach = f"; loss of {BASE} after {images_of} of its images and {time_of} of its time" if v != BASE else ""
            print(f"seed {seed}, {v}: loss {row['points'][-1][2]:.5f}{reach}", flush=True)
    print(json_text({"rows": [r | {"points": r["points"][-1]} for r in rows]}))


if __name__ == "__main__":
    main()
