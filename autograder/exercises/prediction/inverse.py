"""Checks of `predict_x0`: the image back from its velocity."""

import torch
from torch import Generator

from autograder.exercises.base import Probe, finite
from autograder.exercises.prediction.asking import (
    INVERSE,
    OWN,
    SHAPES,
    agree,
    asked,
    draw_schedule,
    levels,
    mixed_times,
    pictures,
)
from ddpm_core.schedule import cosine_beta_schedule, linear_beta_schedule

XT = (
    "x_t does not count with sqrt(abar) in the image: multiply x_t = sqrt(abar)·x_0 + sqrt(1 - abar)·noise by "
    "sqrt(abar) and v = sqrt(abar)·noise - sqrt(1 - abar)·x_0 by sqrt(1 - abar), subtract, and see what becomes of the "
    "noise"
)
OUTPUT = (
    "the network's output does not count with -sqrt(1 - abar) in the image: with model_output = torch.ones(1, 1, 2, 2) "
    "and x_t = torch.zeros(1, 1, 2, 2), follow one number and its sign at the first and at the last timestep"
)
BACK = (
    "the image does not come back from its velocity: take x_0 = torch.ones(1, 1, 2, 2) and a noise of your own, make "
    "x_t and v by hand at timesteps = torch.tensor([100]), and call predict_x0(v, x_t, …). In a batch, each image has "
    f"its own timestep: {OWN}"
)


def xt_term(probe: Probe, rng: Generator) -> None:
    abar, xt = draw_schedule(rng), pictures(rng, (3, 2, 5, 4))
    for _ in range(3):
        t = torch.randint(len(abar), (1,), generator=rng).repeat(3)
        r, _ = levels(abar, t)
        agree(asked(probe, INVERSE, torch.zeros_like(xt), xt, t, abar).tensor((3, 2, 5, 4)), r * xt, r, XT)


def output_term(probe: Probe, rng: Generator) -> None:
    abar, v = draw_schedule(rng), pictures(rng, (3, 2, 5, 4))
    for _ in range(3):
        t = torch.randint(len(abar), (1,), generator=rng).repeat(3)
        r, s = levels(abar, t)
        agree(asked(probe, INVERSE, v, torch.zeros_like(v), t, abar).tensor((3, 2, 5, 4)), -s * v, r, OUTPUT)


def inverts(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        abar, x0, t = draw_schedule(rng), pictures(rng, shape), mixed_times(rng, shape[0], 300)
        eps = torch.randn(shape, generator=rng).double()
        r, s = levels(abar, t)
        agree(asked(probe, INVERSE, r * eps - s * x0, r * x0 + s * eps, t, abar).tensor(shape), x0, r, BACK)


def ends(probe: Probe, rng: Generator) -> None:
    """At the first and the last timestep of both named schedules, where a detour through eps loses its digits."""
    for make in (linear_beta_schedule, cosine_beta_schedule):
        abar = torch.cumprod(1 - make(1000).double(), 0)
        t, x0 = torch.tensor([0, 999]), pictures(rng, (2, 1, 4, 4))
        eps = torch.randn(2, 1, 4, 4, generator=rng).double()
        r, s = levels(abar, t)
        out = asked(probe, INVERSE, r * eps - s * x0, r * x0 + s * eps, t, abar).tensor((2, 1, 4, 4))
        finite(out, "the image at the first or at the last timestep of a schedule of 1000")
        agree(out, x0, r, "at the first or the last timestep the image does not come back: try timesteps = "
              "torch.tensor([0, 999])")  # fmt: skip
