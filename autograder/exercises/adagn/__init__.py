"""The adagn exercise: a group norm with scale and shift from a conditioning vector, and a residual block (block.py)."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from autograder.exercises import properties
from autograder.exercises.adagn import block
from autograder.exercises.base import Exercise, Failed, Probe, check_of, finite, relative_change
from autograder.exercises.module import Batch, Subject

LESSON = "lesson 5.3, “AdaGN”"
NORM = "AdaGroupNorm"


def draw(rng: Generator, batch: int, args: tuple[Any, ...], height: int = 8, width: int = 8) -> Batch:
    """Features of spread 3, so that the usual values of eps do not matter, and conditioning vectors."""
    return {
        "x": 3 * torch.randn(batch, args[0], height, width, generator=rng),
        "cond": torch.randn(batch, args[1], generator=rng),
    }


SUBJECT = Subject(
    NORM,
    args=(32, 24),
    draw=draw,
    shape=lambda batch, args: tuple(batch["x"].shape),
    usual=lambda args: 2 * args[0] * (args[1] + 1),
    example="norm = AdaGroupNorm(32, 16), x = torch.randn(2, 32, 4, 4), cond = torch.randn(2, 16)",
)
# (num_channels, cond_dim, num_groups), batch, height, width; equal sizes can hide a wrong broadcast
SHAPES = (((16, 24, 8), 3, 16, 16), ((16, 16, 4), 16, 16, 5), ((32, 8, 2), 2, 6, 32), ((24, 24, 1), 4, 4, 4))


def contract(probe: Probe, rng: Generator) -> None:
    for args, batch, height, width in (((64, 16), 2, 3, 5), ((8, 40), 1, 1, 4), *SHAPES):
        SUBJECT.finite(probe, rng, draw(rng, batch, args, height, width), args=args)
    SUBJECT.finite(probe, rng, draw(rng, 2, (12, 7)), args=(12, 7), kwargs={"num_groups": 3})


def plain(probe: Probe, rng: Generator) -> None:
    for args, batch, height, width in (((64, 16), 3, 8, 8), ((16, 16, 4), 5, 16, 8), ((24, 8, 3), 2, 8, 8)):
        a = draw(rng, batch, args, height, width)
        a["x"] += 5 * torch.randn(batch, args[0], 1, 1, generator=rng)  # channels of different means
        a["x"][:, 0, 0, 0] = 300  # one bright pixel: about twenty standard deviations
        (out,) = SUBJECT.finite(probe, rng, a, args=args, weights="zero")
        right = F.group_norm(a["x"], args[2] if len(args) > 2 else 8)
        if ((out - right).abs() > 0.02 + 0.005 * right.abs()).any():
            raise Failed(
                "with all parameters zero, so scale = shift = 0, it is not a plain GroupNorm with 8 groups (or "
                f"num_groups): with {SUBJECT.example} and every parameter zeroed, norm(x, cond) must equal "
                "F.group_norm(x, 8). Usual causes: the norm has its own affine parameters, scale is used instead of 1 "
                "+ scale, or the number of groups is wrong"
            )


def invariant(probe: Probe, rng: Generator) -> None:
    a = draw(rng, 4, SUBJECT.args)
    factor, offset = 1 + 3 * torch.rand(4, 1, 1, 1, generator=rng), 6 * torch.rand(4, 1, 1, 1, generator=rng) - 3
    one, two, far = SUBJECT.finite(probe, rng, a, {**a, "x": factor * a["x"] + offset}, {**a, "x": 1e3 * a["x"]})
    if torch.cat([relative_change(one, two), relative_change(one, far)]).max() > 5e-3:
        raise Failed(
            f"x is not normalised before scale and shift are applied: with {SUBJECT.example}, norm(x, cond), "
            "norm(2 * x + 3, cond) and norm(1000 * x, cond) must agree"
        )


def scale_and_shift(x: Tensor, out: Tensor, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """(scale, shift, misfit), (B, C) each: a line fitted to each channel's outputs against its normalised inputs."""
    n, y = F.group_norm(x.double(), groups).flatten(2), out.double().flatten(2)  # (B, C, HW)
    centred = n - n.mean(2, keepdim=True)
    scale = (centred * y).sum(2) / (centred**2).sum(2)  # (B, C)
    shift = y.mean(2) - scale * n.mean(2)
    misfit = (y - scale[..., None] * n - shift[..., None]).abs().amax(2)
    return scale, shift, misfit


def per_channel(probe: Probe, rng: Generator) -> None:
    for args, batch, height, width in SHAPES:
        a, other = (draw(rng, batch, args, height, width) for _ in "ab")
        one, two = SUBJECT.finite(probe, rng, a, {**a, "x": other["x"]}, args=args)
        scale, shift, misfit = scale_and_shift(a["x"], one, args[2])
        again = scale_and_shift(other["x"], two, args[2])
        apart = max(float((scale - again[0]).abs().max()), float((shift - again[1]).abs().max()))
        size = 1 + float(one.abs().max())
        if misfit.max() > 0.01 * size or apart > 0.01 * size:
            raise Failed(
                "the output is not h * (1 + scale) + shift, with one scale and one shift for each image and channel: "
                "with norm = AdaGroupNorm(4, 16, 2), x = torch.randn(2, 4, 4, 4), cond = torch.randn(2, 16), plot "
                "norm(x, cond)[0, c] against F.group_norm(x, 2)[0, c] for each channel c: each should be a straight "
                "line. Scale and shift have shape (B, C); reshape them to (B, C, 1, 1)"
            )
        if min(scale.std(1).min(), shift.std(1).min()) < 1e-3:
            raise Failed(
                f"all channels share one scale or one shift: with {SUBJECT.example}, there must be 32 of each, so the "
                "layer that reads cond has 64 outputs"
            )


def conditioned(probe: Probe, rng: Generator) -> None:
    a = draw(rng, 4, SUBJECT.args)
    one, large = SUBJECT.finite(probe, rng, a, {**a, "cond": 1e3 * a["cond"]})
    scale, shift, _ = scale_and_shift(a["x"], one, 8)  # (B, C)
    if torch.corrcoef(torch.stack([scale.flatten(), shift.flatten()]))[0, 1].abs() > 0.999:
        raise Failed(
            f"scale and shift are the same numbers: with {SUBJECT.example}, there must be 32 scales and 32 different "
            "shifts, so the layer that reads cond has 64 outputs, all of them used"
        )
    factor = scale_and_shift(a["x"], large, 8)[0]  # 1 + scale, (B, C)
    if factor.abs().clamp(max=2).mean() < 0.1:
        raise Failed("the scale vanishes when cond is large: use h * (1 + scale), not h / (1 + scale)")
    if (factor > 3).float().mean() > 0.25 and not (factor < -0.5).any():
        raise Failed(
            "the factor 1 + scale grows with cond, but never becomes negative: use h * (1 + scale), without a relu, an "
            f"exp or a clamp around it. With {SUBJECT.example.replace('cond = ', 'cond = 100 * ')}, look at 1 + scale"
        )
    one, two = SUBJECT.finite(probe, rng, a, {**a, "cond": draw(rng, 4, SUBJECT.args)["cond"]})
    for what, p, q in zip(("scale", "shift"), scale_and_shift(a["x"], one, 8), scale_and_shift(a["x"], two, 8)):
        if ((finite(p, what) - q).abs() > 1e-3).float().mean(1).min() < 0.8:
            raise Failed(
                f"the {what} does not depend on cond: with {SUBJECT.example} and another cond, the {what} of almost "
                "every channel must change. Predict both scale and shift from cond"
            )


check = partial(check_of, NORM, LESSON)
EXERCISE = Exercise(
    assignment="5_3_conditioning",
    position=1,
    name="adagn",
    answers=(NORM, block.BLOCK),
    operations="blocks",
    library=("__init__",),
    hidden=("layers", "conditioning", "network", "unet"),
    needs={block.BLOCK: (NORM,)},
    checks=(
        check("keeps its contract", 0.5, contract),
        check("a plain GroupNorm where scale and shift are zero", 0.75, plain),
        check("x is normalised first", 0.5, invariant),
        check("one scale and shift per image and channel", 0.5, per_channel),
        check("scale and shift depend on cond", 0.75, conditioned),
        *properties.of_every_module(SUBJECT, LESSON, block.SCALES),
        *block.checks(LESSON),
    ),
    written=("adagn_written",),
)
