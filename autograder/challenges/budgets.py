"""The tracks' budgets: parameters at the published small scale, and time relative to the course's own network."""

import time
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from autograder.exercises.architecture.asking import count, environment
from autograder.exercises.base import Check, Failed, Probe
from autograder.exercises.calls import call
from autograder.exercises.prediction.asking import ARGUMENTS, INVERSE, TARGET, schedule_of
from autograder.gate.network import UNET, without_classes
from autograder.gate.remote_modules import names_of, with_pair
from ddpm_core.schedule import DiffusionSchedule

SMALL = 8_950_000  # parameters of the published network at small scale, without classes
SMALL_BLOCKS = [[64, 256], *[[128, 256]] * 7, [64, 256]]  # (C, D) of its nine conditioners
MOST_CONDITIONERS = 4_500_000  # half of it; the largest design on record takes 1.5 million
MOST_NETWORK = 18_000_000  # twice that
SLOWEST_PAIR = 12.0  # in steps without a conditioner; most of the time goes into talking to the answer's process
SLOWEST_FUNCTIONS = 2.0
BATCH, TRIES = 64, 3


def best(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of three runs, since other programs may use the processor."""
    seconds = []
    for _ in range(TRIES):
        start = time.monotonic()
        work()
        seconds.append(time.monotonic() - start)
    return min(seconds)


def step(net: nn.Module, x: Tensor, t: Tensor, y: Tensor) -> None:
    """Do one forward and one backward pass."""
    net(x, t, y).square().mean().backward()
    net.zero_grad(set_to_none=True)


def batch(rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw images (B, 1, 8, 8), timesteps (B,) and labels (B,)."""
    t, y = (torch.randint(most, (BATCH,), generator=rng) for most in (1000, 10))
    return torch.randn(BATCH, 1, 8, 8, generator=rng), t, y


def plain_step(rng: Generator) -> float:
    """Return the seconds that a step of the network takes without a conditioner."""
    net, given = without_classes(UNET, 0).train(), batch(rng)
    return best(lambda: step(net, *given))


def conditioners_size(probe: Probe) -> int:
    """Count the parameters of the nine conditioners at the published small scale."""
    reply, out = probe.both("build", {"rng": torch.get_rng_state()}, shapes=SMALL_BLOCKS)
    names = {n for own in names_of(reply, len(SMALL_BLOCKS)) for n in own if n[0] in "wf"}
    return sum(out[n].numel() for n in names if n in out)


def small_pair(probe: Probe, rng: Generator) -> None:
    number = conditioners_size(probe)
    if number > MOST_CONDITIONERS:
        raise Failed(
            f"at the published small scale the nine conditioners hold {number:,} parameters, more than the "
            f"{MOST_CONDITIONERS:,} allowed: half of the network's {SMALL:,}"
        )


def fast_pair(probe: Probe, rng: Generator) -> None:
    net, given = with_pair(probe, UNET, seed=0).train(), batch(rng)
    ratio = best(lambda: step(net, *given)) / plain_step(rng)
    if ratio > SLOWEST_PAIR:
        raise Failed(
            f"a training step with your pair takes {ratio:.0f} times as long as without a conditioner; "
            f"{SLOWEST_PAIR:g} times is allowed. Look for loops over the batch or over pixels, and for very wide layers"
        )


def fast_functions(probe: Probe, rng: Generator) -> None:
    abar = DiffusionSchedule.named().alphas_cumprod
    x, t, _ = batch(rng)

    def both() -> None:
        for name in (TARGET, INVERSE):
            call(probe, name, x, x, t, schedule_of(abar), rename=ARGUMENTS[name])

    ratio = best(both) / plain_step(rng)
    if ratio > SLOWEST_FUNCTIONS:
        raise Failed(
            f"the two functions take {ratio:.1f} times as long as a training step of the network; "
            f"{SLOWEST_FUNCTIONS:g} times is allowed. Look for loops over images or pixels"
        )


def small_network(probe: Probe, rng: Generator) -> None:
    number = count(probe, environment("64,128,128,128", layers=2, channels=3, size=32))
    if number > MOST_NETWORK:
        raise Failed(
            f"at the published small scale (BLOCK_OUT_CHANNELS=64,128,128,128, LAYERS_PER_BLOCK=2) the network holds "
            f"{number:,} parameters, more than the {MOST_NETWORK:,} allowed"
        )


CHECKS: dict[str, tuple[Check, ...]] = {
    "conditioning": (
        Check("parameters at the published small scale", 1.0, small_pair),
        Check("stays within the time budget", 1.0, fast_pair),
    ),
    "prediction": (Check("stays within the time budget", 1.0, fast_functions),),
    "architecture": (Check("parameters at the published small scale", 1.0, small_network),),  # the exercise takes time
}
