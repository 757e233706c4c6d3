"""How fast the published protocol trains and samples on this device, compared with the same protocol in diffusers.

    python benchmarks/full_scale.py                          (a GPU: the small and the medium scale, 60 s of each peer)
    python benchmarks/full_scale.py --preset cifar10-large
    python benchmarks/full_scale.py --quick                  (any machine: reduced width, seconds; proves the command)

Peer: diffusers' UNet2DModel as published, in the loop of diffusers' own training example (AdamW, EMAModel, clipping,
and bfloat16 autocast if we use it), and its DDIMScheduler. The two take turns. Each round gives one ratio (theirs /
ours in seconds, so above 1 ours is faster), and the interval is the range over rounds. Images are noise, which trains
no slower. The last line is one JSON object, with the targets for one current data-centre GPU beside the measurements.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from torch import nn

from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.data import ImageData
from ddpm_core.samplers import SampleConfig, sample
from ddpm_core.schedule import linear_beta_schedule
from ddpm_core.training import TrainState, train
from ddpm_core.unet import build_unet
from ddpm_tools.cli.base import device_of
from ddpm_tools.export.diffusers_unet import to_diffusers_config
from ddpm_tools.outputs import json_text
from ddpm_tools.presets import PRESETS, preset
from ddpm_tools.train.engine import FastEngine, start
from ddpm_tools.train.speed import Speed

TARGETS = {
    "cifar10-small": {"train_steps_per_s": 73, "sample_images_per_s": 278},
    "cifar10-medium": {"train_steps_per_s": 23},
}
BURN_IN = 30  # steps, for compiling and choosing kernels
Work = Callable[[int], object]  # does the given number of steps or images


def noise(count: int, size: int, classes: int) -> ImageData:
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageData("noise", "train", images, torch.arange(count) % classes, ())


def our_training(config: Preset, data: ImageData, device: str) -> tuple[Work, TrainState, Speed]:
    diffusion = config.diffusion(build_unet(config.unet, strategy(config.conditioning), 0).to(device))
    state, speed = start(diffusion, config.train, Speed(), data.images.nbytes, config.optimizer)
    engine = FastEngine(state, speed, config.train)
    steps = train(state, engine.batches(data, 0), config.train, engine=engine)
    return lambda n: [None for _ in islice(steps, n)], state, speed


def their_training(config: Preset, data: ImageData, device: str, bf16: bool) -> tuple[Work, UNet2DModel]:
    """Return the loop of diffusers' unconditional training example, with labels, and its network."""
    model, plan = UNet2DModel(**to_diffusers_config(config.unet)).to(device).train(), config.train
    scheduler = DDIMScheduler(num_train_timesteps=1000, beta_schedule="linear")
    ema = EMAModel(model.parameters(), decay=plan.ema_decay, use_ema_warmup=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    images, labels = data.images.to(device), data.labels.to(device)

    def steps(n: int) -> None:
        for _ in range(n):
            index = torch.randint(len(images), (plan.batch_size,), device=device)
            clean, y = images[index].float() / 127.5 - 1, labels[index]
            eps, t = torch.randn_like(clean), torch.randint(1000, (plan.batch_size,), device=device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
                loss = F.mse_loss(model(scheduler.add_noise(clean, eps, t), t, class_labels=y).sample.float(), eps)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), plan.grad_clip)
            optimizer.step()
            optimizer.zero_grad()
            ema.step(model.parameters())

    return steps, model


def our_sampling(config: Preset, state: TrainState, steps: int, device: str) -> Work:
    classes = config.unet.num_classes

    def draw(n: int) -> None:
        sample(state.averaged, (torch.arange(n) % classes).to(device), 1.0, steps, config=SampleConfig(batch_size=n))

    return draw


def their_sampling(config: Preset, model: UNet2DModel, steps: int, device: str, bf16: bool) -> Work:
    scheduler = DDIMScheduler(trained_betas=linear_beta_schedule(1000).float().numpy())
    shape = (config.unet.image_channels, config.unet.image_size, config.unet.image_size)

    @torch.no_grad()
    def draw(n: int) -> None:
        xt, y = torch.randn(n, *shape, device=device), torch.arange(n, device=device) % config.unet.num_classes
        scheduler.set_timesteps(steps)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
            for t in scheduler.timesteps:
                xt = scheduler.step(model(xt, t, class_labels=y).sample.float(), t, xt).prev_sample

    return draw


def seconds_of(work: Work, amount: int, device: str) -> float:
    """Return the seconds until the device has really finished."""
    start = time.perf_counter()
    work(amount)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def against(
    ours: Work, theirs: Work, amount: int, burn_in: int, budget: float, device: str
) -> tuple[float, list[float]]:
    """Return our rate over all rounds, and the ratio of each round. Each peer gets about `budget` seconds."""
    for work in (ours, theirs):
        seconds_of(work, burn_in, device)
    mine, ratios = [], []
    while sum(mine) < budget:
        mine.append(seconds_of(ours, amount, device))
        ratios.append(seconds_of(theirs, amount, device) / mine[-1])
    return amount * len(mine) / sum(mine), ratios


def peers(name: str) -> dict[str, nn.Module]:
    """Return both networks of a preset on the meta device, which takes no memory."""
    config = preset(name)
    with torch.device("meta"):
        ours = build_unet(config.unet, strategy(config.conditioning), 0)
        return {"ours": ours, "theirs": UNet2DModel(**to_diffusers_config(config.unet))}


def measure(name: str, device: str, quick: bool, budget: float = 0.0) -> dict[str, object]:
    """Measure one preset. `budget` is the seconds for each peer, if not the usual ones."""
    config = preset(name)
    if quick:
        unet = replace(config.unet, channels=(32,) * len(config.unet.channels), blocks_per_level=1)
        config = replace(config, unet=unet, train=replace(config.train, batch_size=8))
    config = replace(config, train=replace(config.train, steps=1_000_000))  # so many that the rate does not decay here
    data = noise(256 if quick else 20_000, config.unet.image_size, config.unet.num_classes)
    usual, steps, images, evaluations = (3.0, 5, 8, 5) if quick else (60.0, 50, 512, 50)
    budget = budget or usual
    ours, state, speed = our_training(config, data, device)
    theirs, model = their_training(config, data, device, bool(speed.bf16))
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    told: dict[str, object] = {
        "seconds": budget,
        "sampling_steps": evaluations,
        "bf16": speed.bf16,
        "compile": speed.compile,
    }
    rate, ratios = against(ours, theirs, steps, 2 if quick else BURN_IN, budget, device)
    told |= {"train_steps_per_s": round(rate, 2), "train_images_per_s": round(rate * config.train.batch_size, 1)}
    told |= {"train_ratio": spread(ratios)}
    if device.startswith("cuda"):
        told["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    draw = (
        our_sampling(config, state, evaluations, device),
        their_sampling(config, model.eval(), evaluations, device, bool(speed.bf16)),
    )
    rate, ratios = against(*draw, images, images, budget, device)
    told |= {"sample_images_per_s": round(rate, 2), "sample_ratio": spread(ratios)}
    return told | {"targets": TARGETS.get(name, {})}


def spread(ratios: list[float]) -> list[float]:
    """Return median, minimum and maximum."""
    return [round(x, 3) for x in (statistics.median(ratios), min(ratios), max(ratios))]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--preset", action="append", choices=PRESETS, help="default: cifar10-small and cifar10-medium")
    p.add_argument("--device", default="auto")
    p.add_argument("--seconds", type=float, default=0.0, help="for each peer, in training and in sampling; default: 60")
    p.add_argument("--quick", action="store_true", help="reduced width, a few seconds: says nothing about the presets")
    a = p.parse_args()
    device = device_of(a.device)
    if device == "cpu" and not a.quick:
        p.error("the full widths need a GPU; --quick tests the command without one")
    names = a.preset or (["cifar10-small"] if a.quick else ["cifar10-small", "cifar10-medium"])
    about = {"device": torch.cuda.get_device_name() if device.startswith("cuda") else device, "reduced": a.quick}
    found = {}
    for name in names:
        found[name] = measure(name, device, a.quick, a.seconds)
        print(f"{name}: {found[name]}", flush=True)
    print(json_text({"benchmark": "full_scale", **about, "torch": torch.__version__, "presets": found}))


if __name__ == "__main__":
    main()
