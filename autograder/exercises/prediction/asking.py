"""Asking the two functions of the prediction exercise, and the values they are judged against."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import Returned, call
from ddpm_core.schedule import cosine_beta_schedule, linear_beta_schedule

TARGET, INVERSE = "compute_training_target", "predict_x0"
ARGUMENTS = {  # in order, with the names used in messages
    TARGET: ("x_0", "noise", "timesteps", "schedule"),
    INVERSE: ("model_output", "x_t", "timesteps", "schedule"),
}

TOLERANCE = 2e-5  # ten times the rounding error of float32
# equal sizes can hide a wrong broadcast, so these shapes vary which of them coincide
SHAPES = ((4, 4, 4, 4), (5, 3, 5, 5), (3, 3, 8, 6), (6, 1, 2, 6), (2, 3, 4, 5))


def schedule_of(abar: Tensor) -> dict[str, Tensor]:
    """The plain form of a schedule, every entry (T,)."""
    return {"alphas_cumprod": abar, "sqrt_alpha": abar.sqrt(), "sqrt_one_minus_alpha": (1 - abar).sqrt()}


def draw_schedule(rng: Generator) -> Tensor:
    """abar (T,) in float64, of a length and shape the answer cannot know."""
    timesteps = int(torch.randint(300, 1200, (), generator=rng))
    if torch.rand((), generator=rng) < 0.5:
        return torch.cumprod(1 - cosine_beta_schedule(timesteps).double(), 0)
    end = 0.01 + 0.02 * float(torch.rand((), generator=rng))
    return torch.cumprod(1 - linear_beta_schedule(timesteps, 1e-4, end).double(), 0)


def levels(abar: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(abar) and sqrt(1 - abar) at t, 2 x (B, 1, 1, 1)."""
    a = abar[t].view(-1, 1, 1, 1)  # (B,) -> (B, 1, 1, 1)
    return a.sqrt(), (1 - a).sqrt()


def pictures(rng: Generator, shape: tuple[int, ...]) -> Tensor:
    """Images in [-1, 1], float64: clamping to this range changes nothing."""
    return torch.rand(shape, generator=rng, dtype=torch.float64) * 2 - 1


def asked(probe: Probe, name: str, a: Tensor, b: Tensor, t: Tensor, abar: Tensor, dtype=torch.float32) -> Returned:
    """The answer's result for float64 inputs, converted to `dtype`."""
    return call(probe, name, a.to(dtype), b.to(dtype), t, schedule_of(abar.to(dtype)), rename=ARGUMENTS[name])


def agree(out: Tensor, right: Tensor, r: Tensor, text: str) -> None:
    """Failed with `text` if out differs. A right answer may divide by sqrt(abar) = r and lose digits there."""
    if ((finite(out, "the result").double() - right).abs() > TOLERANCE + 4e-6 / r).any():
        raise Failed(text)


def mixed_times(rng: Generator, batch: int, timesteps: int) -> Tensor:
    """Timesteps (B,), all different, in no order."""
    return torch.randperm(timesteps, generator=rng)[:batch]


def batches(rng: Generator) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """abar (T,), x0 and eps (B, C, H, W) in float64, and their timesteps (B,); one of them is beyond 1,000."""
    long = torch.cumprod(1 - cosine_beta_schedule(int(torch.randint(1300, 1600, (), generator=rng))).double(), 0)
    for i, shape in enumerate(SHAPES):
        abar = draw_schedule(rng) if i else long
        x0, t = pictures(rng, shape), mixed_times(rng, shape[0], 300)
        t[-1] = t[-1] if i else int(0.97 * len(long))
        yield abar, x0, torch.randn(shape, generator=rng).double(), t


OWN = (
    "call it with two images and timesteps = torch.tensor([0, 299]), then with each image alone, and compare. A "
    "schedule's factor indexed by timesteps has shape (B,); reshape it to (B, 1, 1, 1) before multiplying an image"
)
