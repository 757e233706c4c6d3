"""A gate's run: the answer is trained, sampled from and measured.

The parent owns the sampler's loop, the noise and the verdict. How an answer is trained is the harness's own method
(learning.py, and the exercises' gate.py). Hidden among the samples that it denoises are held-out images noised by the
parent, unmarked: their loss shows whether what answers is a denoiser at all.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from autograder.exercises.base import Probe
from autograder.gate.judge import Judge, measure
from autograder.sandbox import malloc
from ddpm_core.data import digits
from ddpm_core.diffusion import split_output
from ddpm_core.parameterization import EPSILON, PARAMETERIZATIONS, Parameterization
from ddpm_core.samplers import ddim, ddim_timesteps, initial_noise, last
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import derive_seed, stream

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]  # (xt, t, y) -> eps, or x0 where the harness says so
Progress = Callable[[float], None]  # the share done
Judges = dict[str, Judge]  # by name
TRAINING = 0.8  # of a run's time; the rest is sampling


@dataclass(frozen=True)
class Harness:
    """One run. Changing a value means calibrating the bands again: a test compares them with the band file."""

    labels: ClassVar[bool] = True  # samples are asked for by class
    output: ClassVar[str] = "epsilon"

    train: dict = field(
        # 250 steps of 128 digits: the shortest run that keeps every reference far from every control
        default_factory=lambda: {"steps": 250, "lr": 3e-3, "batch_size": 128, "warmup": 25, "ema_decay": 0.99}
    )
    samples: int = 1000  # 100 a class; the 64-d features have a full-rank covariance from far fewer
    sample_steps: int = 20
    w: float = 1.0  # purely conditional: guidance would hide a weak conditioner
    batch: int = 500
    probes: int = 36  # held-out images in every query
    chunk: int = 25  # training steps between two signs of life

    def learn(self, probe: Probe, seed: int, progress: Progress, shuffled: bool = False) -> Denoise:
        """Train the answer; what denoises then. `shuffled`: on wrong labels, which makes a control of any design."""
        raise NotImplementedError


@dataclass(frozen=True)
class Unconditional(Harness):
    """A run without labels, whose batches are drawn by the parent as well."""

    labels: ClassVar[bool] = False

    train: dict = field(
        default_factory=lambda: {
            **{"steps": 250, "lr": 3e-3, "batch_size": 64, "warmup": 25},
            **{"ema_decay": 0.99, "weight_decay": 1e-4, "grad_clip": 1.0},
        }
    )
    samples: int = 500  # a larger share of the time than with labels, and of use to one number only
    probes: int = 100  # at every noise level, since each counts alike
    network: dict = field(default_factory=dict)  # what is built: the network's shape, or the environment of an answer
    output: str = "epsilon"  # what the denoiser answers with: epsilon or x0


@dataclass(frozen=True)
class Gate:
    """How the trained answers of an exercise are judged."""

    harness: Harness
    # By metric, which controls it can see at all: shuffled labels, for one, leave the pooled distance untouched, and so
    # does an ignored timestep. A metric that is not named here has no limit.
    controls: dict[str, tuple[str, ...]]


def noise_of(out: Tensor, xt: Tensor, t: Tensor, schedule: DiffusionSchedule, output: Parameterization) -> Tensor:
    """The noise that a denoiser's output implies: on this scale the losses of all parameterizations compare."""
    return out if output is EPSILON else split_output(out, xt, t.expand(len(xt)), schedule, output, clip=False)[1]


def mean_loss(losses: list[Tensor], times: Tensor, schedule: DiffusionSchedule, harness: Harness) -> float:
    """One number of the losses of all queries, which go through `times` once a batch.

    Arithmetic with labels, where the noise levels differ little between designs. Without, geometric, so that each level
    counts alike: an ignored timestep shows at the noisiest ones, where the noise is easy to predict and the loss small.
    Levels with nothing of the image left are left out.
    """
    if harness.labels:
        return float(torch.stack(losses).mean())
    by_level = torch.stack(losses).view(-1, len(times)).mean(0)[schedule.alphas_cumprod[times] > 1e-3]
    return math.exp(float(by_level.clamp(min=1e-6).log().mean())) if torch.isfinite(by_level).all() else math.nan


def unwatched(share: float) -> None:
    """Progress that nobody watches."""


def draw_samples(
    denoise: Denoise, harness: Harness, seed: int, progress: Progress = unwatched, output: Parameterization = EPSILON
) -> tuple[Tensor, Tensor, float]:
    """Images (N, 1, 8, 8), the labels asked for (N,), and the denoising loss on the hidden held-out images."""
    schedule, heldout = DiffusionSchedule.named(), digits("heldout")
    times = ddim_timesteps(schedule.timesteps, harness.sample_steps)
    y = torch.arange(harness.samples) % len(heldout.classes)
    rng, losses, images = stream(seed, "queries"), [], []

    def query(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        pick = torch.randint(len(heldout), (harness.probes,), generator=rng)
        noise = torch.randn(harness.probes, *xt.shape[1:], generator=rng)
        hidden = schedule.q_sample(heldout.floats(pick), t[:1].expand(harness.probes), noise)
        order = torch.randperm(len(xt) + harness.probes, generator=rng)
        back = order.argsort()
        labels = torch.cat([y[ids], heldout.labels[pick]])[order]
        out = denoise(torch.cat([xt, hidden])[order], t[:1].expand(len(order)), labels)[back]
        losses.append((noise_of(out[len(xt) :], hidden, t[:1], schedule, output) - noise).square().mean())
        progress(TRAINING + (1 - TRAINING) * len(losses) * harness.batch / (harness.samples * len(times)))
        return split_output(out[: len(xt)], xt, t, schedule, output)

    for ids in torch.arange(harness.samples).split(harness.batch):
        noise = initial_noise(ids.tolist(), (1, 8, 8), derive_seed(seed, "samples"))
        images.append(last(ddim(query, noise, schedule, times)))
    return torch.cat(images), y, mean_loss(losses, times, schedule, harness)


def run(
    probe: Probe, judges: Judges, harness: Harness, seed: int, shuffled: bool = False, progress: Progress = unwatched
) -> tuple[dict, Tensor]:
    """Train, sample and score: ({name of judge: metrics} with loss and copies, the images)."""
    malloc.keep()
    denoise = harness.learn(probe, seed, progress, shuffled)
    images, y, loss = draw_samples(denoise, harness, seed, progress, PARAMETERIZATIONS[harness.output])
    return measure(images, y, loss, judges), images


def describe(harness: Harness) -> dict:
    """What the band file must have been made with."""
    return asdict(harness)
