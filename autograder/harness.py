"""The course's own training and sampling run of a conditioner: the child trains and denoises, the parent does the rest.

The parent owns the sampler's loop, the noise and the verdict. Hidden among the samples that it sends for denoising are
held-out images noised by the parent, unmarked: their loss shows whether the answers come from a denoiser at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from autograder.exercises.base import Failed, Probe, finite, tensor
from autograder.exercises.conditioner import UNET
from ddpm_core.data import digits
from ddpm_core.guidance import split_output
from ddpm_core.metrics.classifier import Classifier, classify
from ddpm_core.metrics.distances import Moments, frechet_distance
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
    """Share of images nearer to a training image than 95 % of held-out images are: about 0.05 for honest ones."""
    train = digits("train").floats().flatten(1)  # (N, 64)
    limit = torch.cdist(digits("heldout").floats().flatten(1), train).amin(1).quantile(0.05)
    return float((torch.cdist(images.flatten(1), train).amin(1) < limit).double().mean())


def train_child(probe: Probe, harness: Harness, seed: int, shuffled: bool, progress: Callable[[float], None]) -> None:
    """Have the child train; Failed where its loss is not finite."""
    data, schedule = digits("train"), DiffusionSchedule.named()
    labels = data.labels
    if shuffled:  # the control: right code, wrong labels
        labels = labels[torch.randperm(len(labels), generator=stream(seed, "shuffle"))]
    given = {"images": data.images, "labels": labels, "alphas_cumprod": schedule.alphas_cumprod}
    steps = harness.train["steps"]
    run_seed = derive_seed(seed, "train")
    probe("start_training", given, unet=UNET, seed=run_seed % 2**31, train={**harness.train, "seed": run_seed})
    for done in range(0, steps, harness.chunk):
        chunk = min(harness.chunk, steps - done)
        out = probe("training_steps", steps=chunk)
        finite(tensor(out, "losses", (chunk,), "the training loss"), "the training loss")
        progress(0.8 * (done + chunk) / steps)


Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]  # (xt, t, y) -> eps


def draw_samples(
    denoise: Denoise, harness: Harness, seed: int, progress: Callable[[float], None] = lambda share: None
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
        eps = denoise(torch.cat([xt, hidden])[order], t[:1].expand(len(order)), labels)[back]
        losses.append((eps[len(xt) :] - noise).square().mean())
        progress(0.8 + 0.2 * len(losses) * harness.batch / (harness.samples * len(times)))
        return split_output(eps[: len(xt)], xt, t, schedule)

    for ids in torch.arange(harness.samples).split(harness.batch):
        noise = initial_noise(ids.tolist(), (1, 8, 8), derive_seed(seed, "samples"))
        images.append(last(ddim(query, noise, schedule, times)))
    return torch.cat(images), y, float(torch.stack(losses).mean())


def run(
    probe: Probe,
    judges: dict[str, Judge],
    harness: Harness,
    seed: int,
    shuffled: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[dict, Tensor]:
    """Train, sample and score: ({name of judge: metrics} with loss and copies, the images)."""

    def denoise(xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
        out = probe("denoise", {"xt": xt, "t": t, "y": y})
        return finite(tensor(out, "eps", tuple(xt.shape), "the trained network's output"), "the trained network")

    train_child(probe, harness, seed, shuffled, progress)
    images, y, loss = draw_samples(denoise, harness, seed, progress)
    return measure(images, y, loss, judges), images


def measure(images: Tensor, y: Tensor, loss: float, judges: dict[str, Judge]) -> dict:
    """All numbers of a run, by judge; ValueError where one is not finite."""
    if not torch.isfinite(images).all() or not torch.isfinite(torch.tensor(loss)):
        raise Failed("the samples of the trained network are not finite")
    shared = {"heldout_loss": loss, "copies": copies(images)}
    return {name: judge.score(images, y) | shared for name, judge in judges.items()}


def describe(harness: Harness) -> dict:
    """What the band file must have been made with."""
    return {**asdict(harness), "unet": UNET}
