"""Checks of `velocity_to_x0`: from a point and its velocity back to the image."""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Check, Failed, Probe, check_of
from autograder.exercises.calls import Returned, call, close, keeps_device, not_by_the_batch

BACK = "velocity_to_x0"
# Equal sizes can hide a wrong broadcast, so these vary which of them coincide; some are points in the plane.
FAR = 100.0  # times the usual range, where a clamp shows
SHAPES = ((4, 4, 4, 4), (5, 3, 5, 5), (3, 2), (2, 2), (6, 1, 2, 6), (1, 3, 4, 5), (4, 6, 3))


def back(probe: Probe, xt: Tensor, v: Tensor, t: Tensor) -> Returned:
    return call(probe, BACK, xt, v, t, rename=("xt", "v", "t"))


def keeps_dtype(returned: Returned, dtype: torch.dtype, name: str) -> None:
    returned.tensor()
    if returned.dtype != dtype:
        raise Failed(
            f"{name} turns {dtype} images into {returned.dtype} when t has another dtype: cast t to the images' dtype "
            "before multiplying"
        )


def contract(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        xt, v = torch.randn(2, *shape, generator=rng)
        back(probe, xt, v, torch.rand(shape[0], generator=rng)).unchanged().tensor(shape, torch.float32)


def on_a_path(probe: Probe, rng: Generator) -> None:
    for shape in ((3, 2, 4, 5), (4, 3)):
        for t in (0.02, 0.5, 0.98, float(torch.rand((), generator=rng))):
            x0, eps = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
            out = back(probe, ((1 - t) * x0 + t * eps).float(), (eps - x0).float(), torch.full(shape[:1], t))
            close(
                out.tensor(shape), x0, "the exact velocity of a path does not lead back to its image", "take x0 and "
                "eps, one t for all images, xt = (1 - t) * x0 + t * eps and v = eps - x0. The result must be x0",
                atol=1e-4,
            )  # fmt: skip


def at_the_image(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES[:4]:
        xt, v = torch.randn(2, *shape, generator=rng)
        out = back(probe, xt, 100 * v, torch.zeros(shape[0])).tensor(shape)
        remedy = "with t = torch.zeros(B), the result must be xt"
        # Allows for float32 rounding next to 100 * v: x0 may be computed as eps - v.
        close(out, xt, "at t = 0 the result is not the point itself", remedy, atol=2e-4)


def any_velocity(probe: Probe, rng: Generator) -> None:
    """v need not be the exact velocity at xt: guided or learnt ones are not, and x0 can lie outside [-1, 1]."""
    for size, scale in ((1.0, 0.1), (1.0, 1.0), (1.0, 20.0), (20.0, 1.0)):
        xt, v = torch.randn(2, 3, 2, 4, 5, generator=rng)
        xt *= size
        t = 0.5 + 0.5 * torch.rand((), generator=rng)
        close(
            back(probe, xt, scale * v, t.repeat(3)).tensor((3, 2, 4, 5)), xt - t * scale * v, "another velocity does "
            "not lead where it points", "with xt = torch.zeros(1, 1) and t = torch.tensor([0.5]), compare v = torch."
            "ones(1, 1) and v = torch.full((1, 1), 3.0), which must lead three times as far, in the same direction. "
            "Do not clamp",
            atol=1e-4,
        )  # fmt: skip


def own_time(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        xt, v = torch.randn(2, *shape, generator=rng)
        t = torch.randperm(50, generator=rng)[: shape[0]] / 49
        out = back(probe, xt, v, t).tensor(shape)
        try:
            close(
                out, xt - t.view(-1, *[1] * (len(shape) - 1)) * v, "an image does not go back by its own time", "with "
                "xt = torch.zeros(2, 2, 2, 2), v = torch.ones(2, 2, 2, 2) and t = torch.tensor([0.0, 0.5]), out[0] and "
                "out[1] should be two different constant images. t has shape (B,); reshape it to (B, 1, 1, 1)",
            )  # fmt: skip
        except Failed as failed:
            alone = [back(probe, *one).tensor((1, *shape[1:])) for one in zip(xt.split(1), v.split(1), t.split(1))]
            raise not_by_the_batch(failed, out, alone, "the way back itself is wrong") from None


def precision(probe: Probe, rng: Generator) -> None:
    xt, v = torch.randn(2, 2, 1, 4, 4, generator=rng)
    keeps_dtype(back(probe, xt, v, torch.rand(2, generator=rng).double()), torch.float32, BACK)
    keeps_dtype(back(probe, xt.double(), v.double(), torch.rand(2, generator=rng)), torch.float64, BACK)


def device(probe: Probe, rng: Generator) -> None:
    keeps_device(probe, BACK, *torch.randn(2, 3, 2, generator=rng), torch.rand(3, generator=rng))


def checks(lesson: str) -> tuple[Check, ...]:
    check = partial(check_of, BACK, lesson)
    return (
        check("keeps its contract", 0.5, contract),
        check("the exact velocity gives the image back", 1.25, on_a_path),
        check("at t = 0 it is the point itself", 0.5, at_the_image),
        check("any velocity leads where it points", 0.5, any_velocity),
        check("each image has its own time", 0.75, own_time),
        check("keeps the images' precision", 0.25, precision),
        check("keeps the device", 0.25, device),
    )
