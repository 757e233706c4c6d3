"""A training run on disk: start, watch, interrupt, resume; and the names that people type."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ddpm_core import checkpoint, plots
from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.data import ImageData, load_data
from ddpm_core.parameterization import PARAMETERIZATIONS
from ddpm_core.samplers import sample
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainState, train
from ddpm_core.unet import build_unet

SAVE_EVERY = 200  # steps between checkpoints: at most some seconds of work are lost


def class_index(name: str, classes: tuple[str, ...]) -> int:
    """The index of a class name; ValueError lists the known ones."""
    if name not in classes:
        raise ValueError(f"unknown class '{name}'; known: {', '.join(classes)}")
    return classes.index(name)


def fit(config: Preset, data: ImageData) -> None:
    """ValueError where a network of this config cannot take this data."""
    c, h, w = data.images.shape[1:]
    want = (config.unet.image_channels, config.unet.image_size, config.unet.image_size)
    if (c, h, w) != want:
        raise ValueError(
            f"the preset's network takes images of {want[0]} channel(s) at {want[1]}×{want[2]}, but {data.name} has "
            f"{c} at {h}×{w}; choose another preset or resize the data"
        )
    if len(data.classes) != config.unet.num_classes:
        raise ValueError(
            f"the preset's network has {config.unet.num_classes} classes, but {data.name} has {len(data.classes)}"
        )


def train_run(
    config: Preset, out: Path, device: torch.device | str = "cpu", progress: bool = True, previews: Path | None = None
) -> Path:
    """Train to the end, from where an interrupted run of the same config stopped; returns the checkpoint's path.

    Ctrl-C saves and says how to go on. The finished checkpoint holds no optimiser state.
    """
    data = load_data(config.data)
    fit(config, data)
    net = build_unet(config.unet, strategy(config.conditioning), config.train.seed).to(device)
    state = TrainState.start(net, config.train)
    if checkpoint.with_suffix(checkpoint.stem(out), ".safetensors").exists():
        _, record = checkpoint.read(out)
        if record.get("finished") and record["config"] == checkpoint.to_dict(config):
            return checkpoint.stem(out)
        state = checkpoint.resume(out, config, state)
    schedule = DiffusionSchedule.named(config.schedule)
    parameterization = PARAMETERIZATIONS[config.parameterization]
    about = {"provenance": {"data": config.data, "n_train": len(data), "seed": config.train.seed}}
    steps, loss = config.train.steps, float("nan")
    bar = tqdm(total=steps, initial=state.step, unit="step", desc="training", disable=not progress)
    try:
        for report in train(state, data, schedule, config.train, parameterization):
            bar.update()
            if report.step % 20 == 0:
                loss = float(report.loss)
                bar.set_postfix(loss=f"{loss:.4f}", lr=f"{report.lr:.1e}")
            if report.step % SAVE_EVERY == 0 and report.step < steps:
                checkpoint.save_training(out, state, config, **about)
            if previews and report.step % config.train.preview_every == 0:
                k = config.unet.num_classes
                y = torch.arange(k).repeat_interleave(8)
                images = sample(state.ema.module, schedule, y, w=2.0, steps=20, parameterization=parameterization)
                plots.save(
                    plots.class_grid(images, data.classes, f"step {report.step}"), previews / f"{report.step}.png"
                )
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C must not lose the checkpoint
            checkpoint.save_training(out, state, config, **about)
        raise
    finally:
        bar.close()
    if math.isfinite(loss):
        about["provenance"]["last_loss"] = round(loss, 4)
    return checkpoint.save_training(out, state, config, resumable=False, finished=True, **about)


def shortened(config: Preset, steps: int | None, seed: int | None) -> Preset:
    """The preset with another number of steps or another seed."""
    changes = {k: v for k, v in (("steps", steps), ("seed", seed)) if v is not None}
    return replace(config, train=replace(config.train, **changes))
