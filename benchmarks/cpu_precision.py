"""Compares bfloat16 with float32 for training on this CPU: time per step and quality after equally many steps.

    python benchmarks/cpu_precision.py --quick       (without it: five seeds instead of three, longer runs)

The step is that of the preset `cifar10-cpu`; both precisions take turns. Quality is the held-out loss (error of v) on
the emoji that ship, after equally many steps from the same weights, data, timesteps and noise. The difference is taken
within each seed, with Student's 95 % interval. One process with two threads is also compared with two processes with
one thread each (gloo), in images per second of the same run. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from speed import interval, seconds

from ddpm_core import checkpoint
from ddpm_core.config import Preset
from ddpm_core.data import ImageData, to_float
from ddpm_core.diffusion import Diffusion
from ddpm_core.objectives import Loss, mse
from ddpm_core.streams import stream
from ddpm_core.training import TrainConfig, train
from ddpm_core.unet import UNetConfig
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation.estimates import mean_estimate, paired
from ddpm_tools.outputs import json_text
from ddpm_tools.presets import preset
from ddpm_tools.train.engine import FastEngine, start
from ddpm_tools.train.speed import Speed, cpu_has_bf16

SMALL = UNetConfig(channels=(32, 32, 64), blocks_per_level=1, attention_levels=(2,), cond_dim=128)


def stepping(config: Preset, data: ImageData, bf16: bool):
    """Return a function that takes one training step."""
    config = replace(config, train=replace(config.train, steps=10**6))
    state, speed = start(
        config.diffusion(checkpoint.network_of(config)), config.train, Speed(bf16=bf16), 0, config.optimizer
    )
    engine = FastEngine(state, speed, config.train)
    steps = train(state, engine.batches(data, 0), config.train, engine=engine)
    return lambda: next(steps)


def step_ratio(config: Preset, data: ImageData, rounds: int) -> list[float]:
    """Return how many times as long a step takes in float32 as in bfloat16: [median, low, high]."""
    works = [stepping(config, data, bf16) for bf16 in (False, True)]
    for work in works:
        seconds(work, 2)  # burn-in
    ratios = []
    for r in range(rounds):
        took = {k: seconds(works[k], 1) for k in ((0, 1) if r % 2 else (1, 0))}
        ratios.append(took[0] / took[1])
    return interval(ratios)


@torch.no_grad()
def heldout_loss(diffusion: Diffusion, data: ImageData, n: int = 512, loss: Loss = mse) -> float:
    """Return the loss of the network's output on n held-out images, at evenly spread timesteps, the same for all."""
    x0, y, T = to_float(data.images[:n]), data.labels[:n], diffusion.schedule.timesteps
    t = ((torch.arange(len(x0)) + 0.5) / len(x0) * T).long()  # (B,)
    t = t[torch.randperm(len(t), generator=stream(1, "order", 0))]
    eps = torch.randn(x0.shape, generator=stream(1, "heldout", 0))
    xt = diffusion.schedule.q_sample(x0, t, eps)
    target = diffusion.parameterization.compute_training_target(x0, eps, t, diffusion.schedule)
    parts = torch.arange(len(x0)).split(250)  # limits memory
    losses = [loss(diffusion.output(xt[i], t[i], y[i]), target[i], t[i], diffusion.schedule) * len(i) for i in parts]
    return float(sum(losses)) / len(x0)


def trained(config: Preset, data: ImageData, heldout: ImageData, bf16: bool) -> float:
    """Train, and return the held-out loss of the averaged weights."""
    state, speed = start(
        config.diffusion(checkpoint.network_of(config)), config.train, Speed(bf16=bf16), 0, config.optimizer
    )
    engine = FastEngine(state, speed, config.train)
    for _ in train(state, engine.batches(data, 0), config.train, engine=engine):
        pass
    return heldout_loss(state.averaged, heldout)


def images_per_second(processes: int, steps: int, folder: Path) -> float:
    """Return the images per second of `ddpm train` on two cores, as two processes or as one with two threads."""
    cli = ["ddpm_tools.cli", "train", "--preset", "cifar10-cpu", "--data", "emoji", "--steps", str(steps)]
    cli += ["--no-log", "--out", str(folder / str(processes))]
    several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    command = [sys.executable, "-m", *(several if processes > 1 else []), *cli]
    environment = os.environ | {"OMP_NUM_THREADS": str(2 // processes)}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return checkpoint.read(folder / str(processes))[1]["provenance"]["images_per_second"]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="within five minutes")
    a = p.parse_args()
    seeds, steps, rounds, long = ((0, 1, 2), 60, 5, 6) if a.quick else (range(5), 400, 25, 40)
    data, heldout = (load_data("emoji", split) for split in ("train", "heldout"))
    ratio = step_ratio(preset("cifar10-cpu"), data, rounds)
    print(f"a step in float32 takes {ratio[0]} times as long [{ratio[1]}, {ratio[2]}]", flush=True)
    losses: dict[bool, dict[int, float]] = {False: {}, True: {}}
    for seed in seeds:
        for bf16, found in losses.items():
            recipe = TrainConfig(steps, 64, lr=1e-3, warmup=steps // 10, ema_decay=0.99, p_uncond=0.1, seed=seed)
            found[seed] = trained(Preset("emoji", unet=SMALL, parameterization="v", train=recipe), data, heldout, bf16)
            print(f"seed {seed}, {'bfloat16' if bf16 else 'float32'}: held-out loss {found[seed]:.5f}", flush=True)
    worse = mean_estimate(paired(losses[False], losses[True]))
    with tempfile.TemporaryDirectory() as folder:
        rates = {n: images_per_second(n, long, Path(folder)) for n in (1, 2)}
    result = {
        "bf16_in_hardware": cpu_has_bf16(), "step_ratio": ratio[0], "step_ratio_interval": ratio[1:],
        "float32_loss": round(sum(losses[False].values()) / len(losses[False]), 5),
        "bf16_minus_float32_loss": [round(v, 6) for v in (worse.value, worse.low, worse.high)],
        "seeds": len(losses[True]), "steps": steps, "two_processes_over_two_threads": round(rates[2] / rates[1], 3),
    }  # fmt: skip
    print(json_text(result))


if __name__ == "__main__":
    main()
