"""The few-steps tracks: a shipped network, a fixed number of evaluations, and a sampler that decides where to use them.

Nothing is trained. The parent owns the network, the noise and the count. The answer's process gives the next (x, t), is
sent the network's output there, and returns images in the end.
"""

import functools
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Check, Exercise, Failed, Probe, finite, relative_change, returned, tensor
from autograder.gate.judge import Judge, measure
from ddpm_core.checkpoint import file_digest, load_diffusion
from ddpm_core.config import DATA_DIR
from ddpm_core.diffusion import Denoiser, Diffusion
from ddpm_core.guidance import plain
from ddpm_core.samplers import initial_noise
from ddpm_core.streams import derive_seed, stream

NETWORK = DATA_DIR / "checkpoints/digits"
ANSWER = "few_steps"
BUDGETS = 1, 2, 4
SHAPE = 1, 8, 8
AGAIN = 8  # images of every run that are drawn a second time, without the others
SAME = 0.02  # mean difference up to which two images count as the same: rounding depends on the batch
SPILL = 1e-3  # allowed beyond [-1, 1], for rounding


@dataclass(frozen=True)
class Harness:
    """What runs must have in common to be comparable."""

    evaluations: int
    network: str  # its file's digest
    samples: int = 500


@functools.cache
def network() -> Diffusion:
    """Load the shipped network (EMA weights) with its schedule."""
    return load_diffusion(NETWORK)


@functools.cache
def harness(evaluations: int) -> Harness:
    return Harness(evaluations, file_digest(NETWORK))


def draw(probe: Probe, noise: Tensor, y: Tensor, evaluations: int, denoise: Denoiser | None = None) -> Tensor:
    """Return the answer's images (B, C, H, W) from noise (B, C, H, W) for labels y (B,).

    The answer's requests are served by the shipped network (w = 1) or by `denoise`. Failed if it makes more than
    `evaluations` of them or an invalid one, or if the images are not valid.
    """
    denoise = denoise or plain(network(), y)
    about, out = probe.both("begin", {"noise": noise, "y": y}, evaluations=evaluations)
    if about.get("generates") is False:
        what = returned(about)
        raise Failed(f"{ANSWER} is not a generator, it returns {what}: ask the network with `x0, eps = yield x, t`")
    for asked in range(evaluations + 1):
        if about.get("asks") is not True:
            return images_of(about, out, tuple(noise.shape), asked)
        if asked == evaluations:
            raise Failed(f"{ANSWER} asks the network more than {times(evaluations)}: it must return the images first")
        x, t = question(about, out, tuple(noise.shape))
        with torch.no_grad():
            x0, eps = denoise(x, torch.full((len(x),), t))
        about, out = probe.both("go_on", {"x0": x0, "eps": eps})
    raise AssertionError("the loop returns or raises")


def times(evaluations: int) -> str:
    """Return a number of evaluations in words."""
    return {1: "once", 2: "twice"}.get(evaluations, f"{evaluations} times")


def question(about: dict, out: dict[str, Tensor], shape: tuple[int, ...]) -> tuple[Tensor, int]:
    """Return (x, t) of one request; Failed if it is invalid."""
    if "x" not in out:
        raise Failed(f"{ANSWER} yields {returned(about)} where it must `yield x, t`, a tensor and a timestep")
    x = finite(tensor(out, "x", shape, "the x that is yielded"), "the x that is yielded")
    steps = network().schedule.timesteps
    if "t" not in out or out["t"].numel() != 1:
        raise Failed(f"the t that is yielded is not a whole number: use one timestep for all images, 0 to {steps - 1}")
    if not 0 <= (t := int(out["t"])) < steps:
        raise Failed(f"the t that is yielded is outside of 0 to {steps - 1}")
    return x, t


def images_of(about: dict, out: dict[str, Tensor], shape: tuple[int, ...], asked: int) -> Tensor:
    """Return the images that the generator returned; Failed if they cannot be judged."""
    if not asked:
        raise Failed(f"{ANSWER} ends without asking the network once: the images must come from it")
    if "images" not in out:
        raise Failed(f"{ANSWER} ends with {returned(about)} where it must return the images: `return images`")
    images = finite(tensor(out, "images", shape, "what is returned"), "an image")
    if images.abs().max() > 1 + SPILL:
        raise Failed("the images leave [-1, 1]: return images.clamp(-1, 1)")
    return images


def run(probe: Probe, judges: dict[str, Judge], harness: Harness, seed: int) -> tuple[dict, Tensor]:
    """Sample and score one seed of noise: ({name of judge: metrics}, images (N, 1, 8, 8)).

    `heldout_loss` is 0, since the answer has no network of its own.
    """
    y = torch.arange(harness.samples) % 10
    noise = initial_noise(range(harness.samples), SHAPE, derive_seed(seed, "samples"))  # (N, 1, 8, 8)
    images = draw(probe, noise, y, harness.evaluations)
    picked = torch.randperm(len(y), generator=stream(seed, "again"))[:AGAIN]
    again = draw(probe, noise[picked], y[picked], harness.evaluations)
    if differ(again, images[picked]):
        raise Failed("an image changes when it is drawn without the others: only its noise and label may decide it")
    return measure(images, y, 0.0, judges), images


def differ(a: Tensor, b: Tensor) -> bool:
    """Whether any image of a differs from that of b, both (B, C, H, W)."""
    return bool((a - b).abs().flatten(1).mean(1).max() > SAME)


def some(rng: Generator, count: int = 6) -> tuple[Tensor, Tensor]:
    """Draw noise (B, 1, 8, 8) and labels (B,)."""
    return torch.randn(count, *SHAPE, generator=rng), torch.randint(10, (count,), generator=rng)


def interface(probe: Probe, rng: Generator, evaluations: int) -> None:
    for count in (6, 1):
        draw(probe, *some(rng, count), evaluations)


def deterministic(probe: Probe, rng: Generator, evaluations: int) -> None:
    given = some(rng)
    if differ(draw(probe, *given, evaluations), draw(probe, *given, evaluations)):
        raise Failed("the same noise gives different images the second time: take all randomness from `noise`")


def alone(probe: Probe, rng: Generator, evaluations: int) -> None:
    noise, y = some(rng)
    each = torch.cat([draw(probe, *one, evaluations) for one in zip(noise.split(1), y.split(1))])
    if differ(draw(probe, noise, y, evaluations), each):
        raise Failed("an image depends on the others in its batch: compare two images drawn together with each alone")


def from_the_network(probe: Probe, rng: Generator, evaluations: int) -> None:
    """Check that another network, whose x0 is shifted by three pixels, gives other images."""
    noise, y = some(rng)
    honest, abar = plain(network(), y), network().schedule.alphas_cumprod

    def moved(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        x0, a = honest(xt, t)[0].roll(3, -1), abar[t].view(-1, 1, 1, 1)
        return x0, (xt - a.sqrt() * x0) / (1 - a).sqrt()

    images = [draw(probe, noise, y, evaluations, denoise) for denoise in (honest, moved)]
    if relative_change(*images).min() < 0.5:
        raise Failed("the images hardly change with the network's answers: they must come from it")


def exercise(evaluations: int) -> Exercise:
    """Return what the child may use, and the checks before a test. All three tracks share its name and noise."""
    checks = (
        ("interface", interface),
        ("deterministic", deterministic),
        ("images come from the network", from_the_network),
        ("images do not see one another", alone),
    )
    return Exercise(
        **{"assignment": "challenges", "position": 0, "name": ANSWER, "answers": (ANSWER,), "operations": "few_steps"},
        library=("__init__", "schedule"),
        hidden=("samplers", "editing", "flow", "edm"),
        checks=tuple(Check(name, 1.0, partial(check, evaluations=evaluations)) for name, check in checks),
    )
