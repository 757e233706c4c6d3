"""The course's own training and sampling run of an answer.

What is plugged in is a conditioner's pair, a parameterization's pair or a whole network; the last two know no classes.
The parent owns the network, unless that is the answer, and how it learns (learning.py). It also owns the sampler's
loop, the noise and the verdict. Hidden among the samples that it denoises are held-out images noised by the parent,
unmarked: their loss shows whether what answers is a denoiser at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from autograder.exercises.base import Failed, Probe
from autograder.exercises.conditioner import UNET
from autograder.gate.learning import Denoise, learn_in_child, learn_pair, learn_trunk
from autograder.sandbox import malloc
from ddpm_core.data import digits
from ddpm_core.diffusion import split_output
from ddpm_core.metrics.classifier import Classifier, classify
from ddpm_core.metrics.distances import Moments, frechet_distance
from ddpm_core.parameterization import EPSILON, PARAMETERIZATIONS, Parameterization
from ddpm_core.samplers import ddim, ddim_timesteps, initial_noise, last
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import derive_seed, stream


@dataclass(frozen=True)
class Harness:
    """One run. Changing a value means calibrating the bands again: a test compares them with the band file."""

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


@dataclass(frozen=True)
class Unconditional(Harness):
    """A run without labels, whose batches are drawn by the parent as well."""

    train: dict = field(
        default_factory=lambda: {
            **{"steps": 250, "lr": 3e-3, "batch_size": 64, "warmup": 25},
            **{"ema_decay": 0.99, "weight_decay": 1e-4, "grad_clip": 1.0},
        }
    )
    samples: int = 500  # a larger share of the time than in the conditioner's run, and of use to one number only
    probes: int = 100  # at every noise level, since each counts alike
    network: dict = field(default_factory=dict)  # what is built: the trunk's shape, or the environment of an answer
    output: str = "epsilon"  # what the denoiser answers with: epsilon or x0


HARNESSES: dict[str, Harness] = {
    "conditioner": Harness(),
    "prediction": Unconditional(network=UNET, output="x0"),  # the conditioner's trunk
    "architecture": Unconditional(
        # Four levels, since answers for the published scales name four kinds of block. Narrower than 64, diffusers'
        # GroupNorm of 32 groups would take out the time that its blocks add.
        network={
            **{"BLOCK_OUT_CHANNELS": "64,64,64,64", "LAYERS_PER_BLOCK": "1"},
            **{"IMAGE_CHANNELS": "1", "IMAGE_SIZE": "8"},
        },
        train={
            **{"steps": 200, "lr": 3e-3, "batch_size": 64, "warmup": 20},
            **{"ema_decay": 0.99, "weight_decay": 1e-4, "grad_clip": 1.0},
        },
    ),
}


@dataclass(frozen=True)
class Judge:
    """A classifier with the reference features that belong to it."""

    classifier: Classifier
    reference: Moments

    @classmethod
    def of(cls, classifier: Classifier) -> Judge:
        return cls(classifier, Moments.of(classify(classifier, digits("all").floats())[1]))

    def score(self, images: Tensor, y: Tensor) -> dict[str, float]:
        predicted, features = classify(self.classifier, images)
        return {
            "adherence": float((predicted == y).double().mean()),
            "distance": frechet_distance(Moments.of(features), self.reference),
        }


def copies(images: Tensor) -> float:
    """Share of images that are nearer to a training image than 95 % of held-out images are, or to a held-out image than
    95 % of training images are, whichever is more: about 0.01 for honest ones.

    Held-out images are no secret, every student has the data set: an answer that carries them is found out as well.
    """
    train, heldout = (digits(part).floats().flatten(1) for part in ("train", "heldout"))  # (N, 64)
    shares = []
    for known, others in ((train, heldout), (heldout, train)):
        limit = torch.cdist(others, known).amin(1).quantile(0.05)
        shares.append(float((torch.cdist(images.flatten(1), known).amin(1) < limit).double().mean()))
    return max(shares)


def noise_of(out: Tensor, xt: Tensor, t: Tensor, schedule: DiffusionSchedule, output: Parameterization) -> Tensor:
    """The noise that a denoiser's output implies: on this scale the losses of all parameterizations compare."""
    return out if output is EPSILON else split_output(out, xt, t.expand(len(xt)), schedule, output, clip=False)[1]


def mean_loss(losses: list[Tensor], times: Tensor, schedule: DiffusionSchedule, harness: Harness) -> float:
    """One number of the losses of all queries, which go through `times` once a batch.

    Arithmetic for the conditioner, where the noise levels differ little between designs. Else geometric, so that each
    level counts alike: an ignored timestep shows at the noisiest ones, where the noise is easy to tell and the loss
    small. Levels with nothing of the image left are left out.
    """
    if not isinstance(harness, Unconditional):
        return float(torch.stack(losses).mean())
    told = torch.stack(losses).view(-1, len(times)).mean(0)[schedule.alphas_cumprod[times] > 1e-3]
    return math.exp(float(told.clamp(min=1e-6).log().mean())) if torch.isfinite(told).all() else math.nan


def draw_samples(
    denoise: Denoise,
    harness: Harness,
    seed: int,
    progress: Callable[[float], None] = lambda share: None,
    output: Parameterization = EPSILON,
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
        progress(0.8 + 0.2 * len(losses) * harness.batch / (harness.samples * len(times)))
        return split_output(out[: len(xt)], xt, t, schedule, output)

    for ids in torch.arange(harness.samples).split(harness.batch):
        noise = initial_noise(ids.tolist(), (1, 8, 8), derive_seed(seed, "samples"))
        images.append(last(ddim(query, noise, schedule, times)))
    return torch.cat(images), y, mean_loss(losses, times, schedule, harness)


def run(
    probe: Probe,
    judges: dict[str, Judge],
    harness: Harness,
    seed: int,
    shuffled: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[dict, Tensor]:
    """Train, sample and score: ({name of judge: metrics} with loss and copies, the images)."""
    malloc.keep()
    if not isinstance(harness, Unconditional):
        denoise = learn_pair(probe, harness, seed, shuffled, progress)
    elif "channels" in harness.network:  # the shape of the course's own network
        denoise = learn_trunk(probe, harness, seed, progress)
    else:
        denoise = learn_in_child(probe, harness, seed, progress)
    output = PARAMETERIZATIONS[harness.output] if isinstance(harness, Unconditional) else EPSILON
    images, y, loss = draw_samples(denoise, harness, seed, progress, output)
    return measure(images, y, loss, judges), images


def measure(images: Tensor, y: Tensor, loss: float, judges: dict[str, Judge]) -> dict:
    """All numbers of a run, by judge; ValueError where one is not finite."""
    if not torch.isfinite(images).all() or not torch.isfinite(torch.tensor(loss)):
        raise Failed("the samples of the trained network are not finite")
    shared = {"heldout_loss": loss, "copies": copies(images)}
    return {name: judge.score(images, y) | shared for name, judge in judges.items()}


def describe(harness: Harness) -> dict:
    """What the band file must have been made with."""
    return asdict(harness) | ({} if isinstance(harness, Unconditional) else {"unet": UNET})
