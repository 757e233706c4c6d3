"""Checks of `inpaint_step`: the known part of an image, restored at its noise level."""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Check, Failed, Probe, check_of
from autograder.exercises.calls import Returned, call, close, keeps_device

LESSON = "lesson 5.4, “Editing”"
STEP = "inpaint_step"
SHAPES = ((3, 2, 4, 5), (1, 1, 6, 6), (4, 4, 4, 4))
TRY = "xt = torch.full((1, 1, 2, 2), 9.0), x0 = torch.ones(1, 1, 2, 2), mask = torch.tensor([[1.0, 0.0], [1.0, 0.0]])"


def draw(rng: Generator, shape: tuple[int, ...], wide: tuple[int, ...] | None = None) -> tuple[Tensor, ...]:
    """(xt, x0, mask, abar, eps): the mask has shape `wide`, by default (1, 1, H, W), and contains both 0 and 1."""
    xt, x0, eps = torch.randn(3, *shape, generator=rng)
    mask = torch.randint(2, wide or (1, 1, *shape[2:]), generator=rng).float()
    mask[..., 0, 0], mask[..., -1, -1] = 1, 0
    return xt, x0, mask, 0.1 + 0.8 * torch.rand((), generator=rng), eps


def step(probe: Probe, *given: Tensor) -> Returned:
    return call(probe, STEP, *given, rename=("xt", "x0", "mask", "abar", "eps"))


def right(xt: Tensor, x0: Tensor, mask: Tensor, abar: Tensor, eps: Tensor) -> Tensor:
    """Lugmayr et al. 2022, eq. 8, in float64."""
    known = abar.double().sqrt() * x0.double() + (1 - abar.double()).sqrt() * eps.double()
    return torch.where(mask.expand_as(xt) == 1, known, xt.double())


def contract(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        step(probe, *draw(rng, shape)).unchanged().tensor(shape, torch.float32)


def unknown_stays(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        given = draw(rng, shape)
        out, hidden = step(probe, *given).tensor(shape), given[2].expand(shape) == 0
        close(
            out[hidden],
            given[0][hidden],
            "where mask is 0, the result is not xt",
            f"try {TRY}. The right column should stay 9",
        )


def known_is_noised(probe: Probe, rng: Generator) -> None:
    """Image and noise separately, then together."""
    for shape in SHAPES:
        for image, noise in ((1, 0), (0, 1), (1, 1)):
            xt, x0, mask, abar, eps = draw(rng, shape)
            given = xt, image * x0, mask, abar, noise * eps
            seen = mask.expand(shape) == 1
            close(
                step(probe, *given).tensor(shape)[seen], right(*given)[seen], "where mask is 1, the result is not x0 "
                "at the noise level abar", f"try {TRY}, abar = torch.tensor(0.25) and eps = 0 * x0. The left column "
                "should be 0.5, and with x0 = 0 and eps all ones the square root of 0.75",
            )  # fmt: skip


def clean(probe: Probe, rng: Generator) -> None:
    xt, x0, mask, _, eps = draw(rng, SHAPES[0])
    given = xt, x0, mask, torch.tensor(1.0), eps
    close(step(probe, *given).tensor(SHAPES[0]), right(*given), "at abar = 1, the known part is not the image itself",
          f"try {TRY}, abar = torch.tensor(1.0) and any eps")  # fmt: skip


def own_mask(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        for wide in ((shape[0], 1, *shape[2:]), shape, (1, 1, *shape[2:])):
            given = draw(rng, shape, wide)
            if not torch.allclose(step(probe, *given).tensor(shape), right(*given), rtol=1e-4, atol=1e-5):
                raise Failed(
                    f"a mask of shape {wide} for images of shape {shape} goes wrong: mask must broadcast over xt, "
                    "with one mask for all images or one per image, and one for all channels or one per channel"
                )


def device(probe: Probe, rng: Generator) -> None:
    keeps_device(probe, STEP, *draw(rng, SHAPES[0]))


def checks() -> tuple[Check, ...]:
    check = partial(check_of, STEP, LESSON)
    return (
        check("keeps its contract", 0.5, contract),
        check("the unknown part stays", 0.75, unknown_stays),
        check("the known part is noised to its level", 1.5, known_is_noised),
        check("at abar = 1 it is the image", 0.5, clean),
        check("masks of any shape that broadcasts", 0.5, own_mask),
        check("keeps the device", 0.25, device),
    )
