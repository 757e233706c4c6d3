"""Checks of the two noise schedules."""

import math

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import call, close

LINEAR, COSINE = "linear_beta_schedule", "cosine_beta_schedule"


def between(rng: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def lengths(rng: Generator) -> list[int]:
    """A short schedule, where an error of one step is large, a medium one, the usual one, and a longer one."""
    short, medium, long = (int(torch.randint(*ends, (), generator=rng)) for ends in ((8, 30), (100, 500), (1001, 2000)))
    return [short, medium, 1000, long]


def betas(probe: Probe, name: str, timesteps: int, **kwargs: float) -> Tensor:
    """The answer's betas, in float64. It may return float32 or float64: a cumulative product is better in float64."""
    returned = call(probe, name, timesteps, **kwargs)
    out = returned.tensor((timesteps,))
    if returned.dtype not in (torch.float32, torch.float64):
        raise Failed(f"{name} returns {returned.dtype}: betas are fractions, so return float32 or float64")
    return finite(out, f"{name}({timesteps})")


def one_beta_each(name: str, probe: Probe, rng: Generator) -> None:
    for timesteps in lengths(rng):
        out = betas(probe, name, timesteps)
        if not ((out > 0) & (out < 1)).all():
            raise Failed(f"{name} returns betas that are not between 0 and 1: look at {name}(10)")


def evenly_spaced(probe: Probe, rng: Generator) -> None:
    for timesteps in lengths(rng):
        for ends in ({}, {"beta_start": between(rng, 1e-3, 0.1), "beta_end": between(rng, 0.4, 0.9)}):
            step = betas(probe, LINEAR, timesteps, **ends).diff()  # (T - 1,)
            if ((step - step.mean()).abs() > 0.01 * step.mean().abs() + 5e-9).any():
                raise Failed(
                    "the betas are not evenly spaced: linear_beta_schedule(5).diff() should be four equal numbers, and "
                    "those of linear_beta_schedule(5, 0.1, 0.9), too"
                )


def from_start_to_end(probe: Probe, rng: Generator) -> None:
    example = f"look at the first and last numbers of {LINEAR}(5, 0.1, 0.2) and of {LINEAR}(5)"
    for timesteps in lengths(rng):
        start, end = between(rng, 1e-5, 1e-3), between(rng, 0.01, 0.05)
        steep = between(rng, 0.05, 0.2), between(rng, 0.4, 0.95)
        for given, ends in (((), (1e-4, 0.02)), ((start, end), (start, end)), (steep, steep)):
            out = call(probe, LINEAR, timesteps, *given).tensor((timesteps,))
            text = "the schedule does not run from beta_start to beta_end, both included"
            close(out[[0, -1]], torch.tensor(ends), text, example, rtol=1e-4, atol=1e-8)


def squared_cosine(timesteps: int, s: float = 0.008) -> Tensor:
    """The betas before any clamp, (T,) float64 (Nichol & Dhariwal 2021, eq. 17)."""
    f = torch.cos((torch.arange(timesteps + 1).double() / timesteps + s) / (1 + s) * math.pi / 2) ** 2
    return 1 - f[1:] / f[:-1]


def apart(out: Tensor, right: Tensor) -> Tensor:
    """Which betas differ by more than rounding, (T,). In float32 the last cosines have lost four digits."""
    return (out - right).abs() > 3e-6 + 1e-3 * right


def follows_cosine(probe: Probe, rng: Generator, **s: float) -> None:
    for timesteps in lengths(rng):
        out, right = betas(probe, COSINE, timesteps, **s), squared_cosine(timesteps, **s)
        inner = (right > 2e-4) & (right < 0.99)  # the clamps have their own check
        if apart(out, right)[inner].any():
            raise Failed(
                f"abar does not follow the squared cosine{' when s is not the default' if s else ''}: for T = 4, "
                "compute the T + 1 values f(0) … f(T) by hand, with f(0) = cos²(s / (1 + s) · π/2). Then compare f(t) "
                f"/ f(0) for t = 1 … 4 with torch.cumprod(1 - {COSINE}(4), 0)"
            )


def cosine_offset(probe: Probe, rng: Generator) -> None:
    follows_cosine(probe, rng, s=between(rng, 0.03, 0.1))


def clamped(probe: Probe, rng: Generator) -> None:
    for timesteps in [*lengths(rng), 2000]:
        out, right = betas(probe, COSINE, timesteps), squared_cosine(timesteps)
        if (out < 1e-4 - 1e-7).any() or (out > 0.9999 + 1e-6).any():
            raise Failed(f"some betas lie outside [1e-4, 0.9999]: look at the smallest and largest of {COSINE}(1000)")
        if (out[right > 0.99991] < 0.9999 - 1e-6).any():
            cut = float(out.max())  # if all betas are small, no upper limit made them so
            if cut > 1e-3 and not apart(out, right.clamp(1e-4, cut)).any():
                raise Failed(f"the last beta is cut below 0.9999: look at {COSINE}(1000)[-1]")
            raise Failed(
                "the last beta is not 0.9999, and not because of a clamp: f(T) is 0, so 1 - f(T) / f(T - 1) is 1 for "
                f"any T and s. Look at {COSINE}(4)[-1] and at the values of f used to compute it"
            )
        if (out[right < 0.99e-4] > 1e-4 + 1e-7).any():
            if not apart(out, right.clamp(float(out.min()), 0.9999)).any():
                raise Failed(f"small betas are raised above 1e-4: look at {COSINE}(2000)[0]")
            raise Failed(
                "the first betas of a long schedule are too large, and not because of a clamp: look at "
                f"{COSINE}(2000)[0] and at the two values of f used to compute it"
            )
