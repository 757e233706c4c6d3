"""Carries out a gate's run: the answer is trained, sampled from and measured, at the end or at several looks before it.

The parent owns the sampler's loop, the noise and the verdict. Hidden among the samples that the answer denoises are
held-out images noised by the parent, unmarked. Their loss shows whether the answer is a denoiser at all. The rule in
sequential.py decides when a run stops.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autograder.exercises.base import Probe
from autograder.gate.harness import TRAINING, Denoise, Harness, Progress, unwatched
from autograder.gate.judge import Judge, measure
from autograder.sandbox import malloc
from ddpm_core.data import digits
from ddpm_core.diffusion import split_output
from ddpm_core.parameterization import EPSILON, PARAMETERIZATIONS, Parameterization
from ddpm_core.samplers import SAMPLERS, ddim_timesteps, initial_noise, last
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import derive_seed, stream

Judges = dict[str, Judge]  # by name
WHERE = 200, 700  # timesteps at which a label helps most: the digit's details are lost, its outline is not
APART = 200  # least distance between an image's own timestep and the wrong one
USED = 7.0  # standard errors of time_gain: slow learners reach 14, the maximum, a network without skips 6


def noise_of(out: Tensor, xt: Tensor, t: Tensor, schedule: DiffusionSchedule, output: Parameterization) -> Tensor:
    """Return the noise that a denoiser's output implies, the scale on which all parameterizations can be compared."""
    return out if output is EPSILON else split_output(out, xt, t.expand(len(xt)), schedule, output, clip=False)[1]


def mean_loss(losses: list[Tensor], times: Tensor, schedule: DiffusionSchedule, harness: Harness) -> float:
    """Return the mean loss of all queries, which go through `times` once per batch.

    With labels it is the arithmetic mean, since designs differ little in how the noise levels compare. Without labels
    it is the geometric mean, so that all levels count the same: an ignored timestep shows at the noisiest ones, where
    the noise is easy to predict and the loss small. Levels at which nothing of the image is left are omitted.
    """
    if harness.labels:
        return float(torch.stack(losses).mean())
    by_level = torch.stack(losses).view(-1, len(times)).mean(0)[schedule.alphas_cumprod[times] > 1e-3]
    return math.exp(float(by_level.clamp(min=1e-6).log().mean())) if torch.isfinite(by_level).all() else math.nan


def draw_samples(
    denoise: Denoise, harness: Harness, seed: int, progress: Progress = unwatched, output: Parameterization = EPSILON
) -> tuple[Tensor, Tensor, float]:
    """Return images (N, 1, 8, 8), the requested labels (N,), and the denoising loss on the hidden held-out images."""
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
        images.append(last(SAMPLERS[harness.sampler](query, noise, schedule, times)))
    return torch.cat(images), y, mean_loss(losses, times, schedule, harness)


@dataclass(frozen=True)
class Look:
    """What one look at a run measures."""

    step: int
    metrics: dict[str, dict[str, float]]  # by judge
    hope: float  # whether more training may help (sequential.py); inf at the first look
    images: Tensor = field(repr=False, compare=False)


def label_gain(denoise: Denoise, seed: int, n: int = 400) -> float:
    """Return by how many standard errors held-out images are denoised better with their own label than a wrong one.

    The noise is the same both times. If the label is not used, the result is zero or standard normal.
    """
    schedule, heldout, rng = DiffusionSchedule.named(), digits("heldout"), stream(seed, "labels")
    pick, t = torch.randint(len(heldout), (n,), generator=rng), torch.randint(*WHERE, (n,), generator=rng)
    noise = torch.randn(n, *heldout.floats(pick[:1]).shape[1:], generator=rng)
    xt, y = schedule.q_sample(heldout.floats(pick), t, noise), heldout.labels[pick]
    other = (y + torch.randint(1, len(heldout.classes), (n,), generator=rng)) % len(heldout.classes)
    own, wrong = ((denoise(xt, t, labels) - noise).square().flatten(1).mean(1) for labels in (y, other))  # 2 x (n,)
    gain = wrong - own
    return float(gain.mean() / (gain.std() / math.sqrt(n)).clamp(min=1e-12))


def time_gain(denoise: Denoise, seed: int, n: int = 200) -> float:
    """Compare the denoising of held-out images at their own timestep and at a wrong one, with the same noise.

    Returns how many more are denoised better than worse at their own, in standard errors; zero if the timestep has no
    effect. Only signs are counted, since losses at different timesteps differ by orders of magnitude.
    """
    schedule, heldout, rng = DiffusionSchedule.named(), digits("heldout"), stream(seed, "times")
    pick, t = torch.randint(len(heldout), (n,), generator=rng), torch.randint(schedule.timesteps, (n,), generator=rng)
    noise = torch.randn(n, *heldout.floats(pick[:1]).shape[1:], generator=rng)
    xt, y = schedule.q_sample(heldout.floats(pick), t, noise), heldout.labels[pick]
    other = (t + torch.randint(APART, schedule.timesteps - APART, (n,), generator=rng)) % schedule.timesteps
    own, wrong = ((denoise(xt, times, y) - noise).square().flatten(1).mean(1) for times in (t, other))  # 2 x (n,)
    return float((wrong - own).sign().sum() / math.sqrt(n))


def hope(denoise: Denoise, harness: Harness, seed: int, loss: float, before: float | None) -> float:
    """Return how much hope there is that more training helps: inf at the first look.

    Later it is `label_gain`; without labels, the relative fall of the held-out loss since `before`, or 0 if the whole
    network is the answer's and makes no use of its timestep.
    """
    if before is None:
        return math.inf
    if harness.labels:
        return label_gain(denoise, seed)
    return 0.0 if harness.timed and time_gain(denoise, seed) < USED else 1 - loss / before


def looks(
    probe: Probe, judges: Judges, harness: Harness, seed: int, shuffled: bool = False, progress: Progress = unwatched
) -> Iterator[Look]:
    """Train, sample and score, and yield each look. All looks use the same noise and held-out images."""
    malloc.keep()
    output, before, watched = PARAMETERIZATIONS[harness.output], None, progress if len(harness.ends) == 1 else unwatched
    with closing(harness.learn(probe, seed, progress, shuffled)) as learning:
        for step, denoise in zip(harness.ends, learning):
            images, y, loss = draw_samples(denoise, harness, seed, watched, output)
            metrics = measure(images, y, loss, judges)
            yield Look(step, metrics, hope(denoise, harness, seed, loss, before), images)
            before = loss


def unlimited(look: Look) -> bool:
    """Never decide early: the run goes on to its last look."""
    return False


def run(
    probe: Probe, judges: Judges, harness: Harness, seed: int, shuffled: bool = False, progress: Progress = unwatched,
    decided: Callable[[Look], bool] = unlimited,
) -> tuple[dict, Tensor]:  # fmt: skip
    """Train, sample and score up to the look that decides.

    Returns ({name of judge: metrics}, images); the metrics include the held-out loss and the share of copies.
    """
    with closing(looks(probe, judges, harness, seed, shuffled, progress)) as every:
        for look in every:
            if decided(look):
                break
    return look.metrics, look.images
