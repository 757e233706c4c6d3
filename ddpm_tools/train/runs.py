"""A training run on disk: start, watch, interrupt, resume; and the checks of what users pass."""

from dataclasses import replace
from pathlib import Path

import torch

from ddpm_core import checkpoint
from ddpm_core.config import Preset
from ddpm_core.data import ImageData
from ddpm_core.diffusion import Diffusion
from ddpm_core.training import train
from ddpm_tools.datasets import load_data
from ddpm_tools.train import resume
from ddpm_tools.train.beginning import Source, beginning
from ddpm_tools.train.callbacks import CallbackConfig, Callbacks
from ddpm_tools.train.distributed import ALONE, Ranks
from ddpm_tools.train.engine import FastEngine, start
from ddpm_tools.train.objectives import objective
from ddpm_tools.train.speed import Speed, bf16_pays, hardware

MEASURED_STEPS = 1000  # steps; shorter runs use float32 on every CPU, for the same numbers everywhere
LARGEST_BATCH = 16  # times the training images: a few pictures can fill a batch, but not one of repeats alone


def class_index(name: str, classes: tuple[str, ...]) -> int:
    """The index of a class name; ValueError lists the known ones."""
    if name not in classes:
        raise ValueError(f"unknown class '{name}'; known: {', '.join(classes)}")
    return classes.index(name)


def fit(config: Preset, data: ImageData) -> None:
    """ValueError if a network of this config cannot be trained on these data."""
    (c, h, w), u, k = data.images.shape[1:], config.unet, config.unet.num_classes
    if (c, h, w) != (u.image_channels, u.image_size, u.image_size):
        raise ValueError(
            f"the preset's network takes images of {u.image_channels} channel(s) at {u.image_size}×{u.image_size}, but "
            f"{data.name} has {c} at {h}×{w}; choose another preset or resize the data"
        )
    if k and data.labels.dim() == 1 and len(data.classes) != k:
        raise ValueError(
            f"the preset's network has {k} classes, but {data.name} has {len(data.classes)}; "
            f"set the preset's num_classes to {len(data.classes)}"
        )


def training_data(config: Preset) -> ImageData:
    """The config's data in its network's format; for an unconditional network every label is the null class 0."""
    u = config.unet
    data = load_data(config.data, config.split, size=u.image_size, channels=u.image_channels)
    fit(config, data)
    if (batch := config.train.batch_size) > (most := LARGEST_BATCH * max(len(data), 128)):
        raise ValueError(
            f"a batch of {batch} images is far more than the {len(data)} training images of {data.name}; "
            f"choose a --batch-size of at most {most}"
        )
    return data if u.num_classes else replace(data, labels=torch.zeros(len(data), dtype=torch.long))


def wants_bf16(out: Path, config: Preset, diffusion: Diffusion, processes: int = 1) -> bool:
    """On a CPU: whether the run began in bfloat16, or, for a long run that begins now, whether that is faster."""
    if resume.exists(out):
        return checkpoint.read(out, skip="")[1].get("provenance", {}).get("speed", {}).get("bf16") is True
    supported = hardware(diffusion.device).bf16 and config.train.steps >= MEASURED_STEPS
    return supported and bf16_pays(diffusion, config.train.batch_size // processes)


def train_run(
    config: Preset, out: Path, device: torch.device | str = "cpu",
    callbacks: CallbackConfig | None = None, speed: Speed | None = None, ranks: Ranks = ALONE,
    source: Source | None = None,
) -> Path:  # fmt: skip
    """Train to the end, resuming an interrupted run of the same config; returns the checkpoint's path. With `source`,
    it begins with another run: with its averaged weights (`train.warm_start`), or to finish it early
    (`train.cooldown`). Ctrl-C or SIGTERM saves after the step and raises Interrupted. FloatingPointError, on a loss
    that is not finite, leaves the last save. The finished checkpoint has no optimiser state. On a CPU a resumed run
    equals an unbroken one bit for bit; on a GPU this is not guaranteed."""
    callbacks, speed = callbacks or CallbackConfig(), speed or Speed()
    with ranks.first_goes_ahead():
        begin = beginning(out, config, source)
        config = begin.config
        data = training_data(config)
        ranks.shares(config.train.batch_size, speed.micro_batches)  # fail now, not after compiling
        diffusion = config.diffusion(checkpoint.network_of(config).to(device))
        loss, times = objective(config, diffusion.parameterization)
        measure = speed.bf16 == "auto" and diffusion.device.type == "cpu"
        bf16 = measure and ranks.first and wants_bf16(begin.path, config, diffusion, ranks.world)
    if measure:
        speed = replace(speed, bf16=ranks.any(bf16))  # the same in all processes
    with ranks.first_goes_ahead():
        state, speed = start(diffusion, config.train, speed, data.images.nbytes, config.optimizer)
        if ranks.first:
            resume.clear_drafts(out)
        if done := resume.exists(out) and resume.finished(out, config):
            state.step = config.train.steps
        elif resume.exists(begin.path):
            state = resume.resume(begin.path, begin.before, state)
            resume.check_pictures(begin.path, data)
        elif begin.warm_start:
            begin.warm_start.fill(state, source.path)
        if begin.cooldown:
            begin.cooldown.attach(state, config.train)
    if not ranks.same(state.step):
        raise ValueError(f"the processes do not see the same checkpoint {out}; put --out on a disk shared by all")
    if not done:
        engine = FastEngine(state, speed, config.train, ranks)
        around = Callbacks(begin, checkpoint.stem(out), data, state, engine, callbacks)
        try:
            around.run(train(state, engine.batches(data, state.step), config.train, loss, times, engine))
        except FloatingPointError as e:
            kept = f"{out} keeps its last save" if resume.exists(out) else "nothing had been saved yet"
            raise FloatingPointError(f"{e}; {kept}; another learning rate needs another --out") from e
    return checkpoint.stem(out)


def shortened(config: Preset, steps: int | None, seed: int | None) -> Preset:
    """The preset with another number of steps or another seed."""
    changes = {k: v for k, v in (("steps", steps), ("seed", seed)) if v is not None}
    return replace(config, train=replace(config.train, **changes))
