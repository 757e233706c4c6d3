"""Checks of `AdaResBlock`: skip(x) + branch(x, cond), with any branch that normalises."""

from functools import partial
from typing import Any

import torch
from torch import Generator

from autograder.exercises import properties
from autograder.exercises.base import Check, Failed, Probe, check_of, relative_change, tensor
from autograder.exercises.calls import seed_of
from autograder.exercises.module import SEES, Batch, Subject

BLOCK = "AdaResBlock"
ADDED = 0.03  # of the joint effect of two changes: below 0.01 without an activation, above 0.1 with one
BESIDE = 10  # times the effect far away: above 40 with a 3×3 convolution, about 1 without one
LARGE = 1e4  # features so large that the output of a normalised branch is small beside them
SCALES = {"x": (1e4, 1.0, 0.0), "cond": (1.0, 100.0, 0.0)}  # at which outputs must be finite


def draw(rng: Generator, batch: int, args: tuple[Any, ...], height: int = 6, width: int = 6) -> Batch:
    return {
        "x": torch.randn(batch, args[0], height, width, generator=rng),
        "cond": torch.randn(batch, args[2], generator=rng),
    }


def usual(args: tuple[Any, ...]) -> int:
    """Two norms, two 3×3 convolutions, and a 1×1 for the skip."""
    cin, cout, dim = args
    return 2 * (cin + cout) * (dim + 1) + 9 * (cin + cout) * cout + 2 * cout + (cin + 1) * cout


SUBJECT = Subject(
    BLOCK,
    args=(32, 64, 24),
    draw=draw,
    shape=lambda batch, args: (len(batch["x"]), args[1], *batch["x"].shape[2:]),
    usual=usual,
    example="block = AdaResBlock(32, 64, 16), x = torch.randn(2, 32, 4, 4), cond = torch.randn(2, 16)",
)
WIDTHS = ((32, 32, 16), (32, 64, 24), (64, 32, 32))


def contract(probe: Probe, rng: Generator) -> None:
    for args, batch, height, width in zip((*WIDTHS, (96, 96, 8)), (2, 1, 3, 2), (8, 5, 2, 7), (8, 3, 6, 4)):
        a = draw(rng, batch, args, height, width)
        for weights in ("fresh", "perturbed"):
            SUBJECT.finite(probe, rng, a, args=args, weights=weights)


def added(probe: Probe, rng: Generator, args: tuple[int, int, int]) -> tuple[torch.Tensor, ...]:
    """What large features y add to the output, on top of two different sets of large features; and y.

    The output of a normalised branch is small here, so only the skip is left: a linear map of y.
    """
    x, z, y = (draw(rng, 2, args) for _ in "xzy")
    calls = [{**x, "x": LARGE * v} for v in (x["x"], x["x"] + y["x"], z["x"], z["x"] + y["x"])]
    base, more, other, other_more = (out.double() / LARGE for out in SUBJECT.finite(probe, rng, *calls, args=args))
    return more - base, other_more - other, y["x"].double()


def residual(probe: Probe, rng: Generator) -> None:
    for args in WIDTHS:
        one, _, y = added(probe, rng, args)
        if (one.flatten(1).norm(dim=1) < 0.05 * y.flatten(1).norm(dim=1)).any():
            raise Failed(
                "x is not added to the result: for large x the output must grow with x, since the skip passes x on "
                f"and only the branch normalises it. With {SUBJECT.example}, compare block(1000 * x, cond) and "
                "block(2000 * x, cond)"
            )


def normalised(probe: Probe, rng: Generator) -> None:
    for args in WIDTHS:
        one, two, y = added(probe, rng, args)
        if (one - two).abs().max() > 0.05 * y.abs().max():
            raise Failed(
                "the branch is not normalised, or something is applied after the sum: for large x only skip(x) should "
                f"matter, and it is linear. With {SUBJECT.example}, compare block(1000 * (x + y), cond) - block(1000 "
                "* x, cond) for two different x and the same y = torch.randn(2, 32, 4, 4)"
            )


def activated(probe: Probe, rng: Generator) -> None:
    """Without an activation between the convolutions, the effects of two changes of x simply add up.

    The image is large, so the norms' means and variances hardly change. Each change covers half of the channels of two
    neighbouring pixels, so it does not matter whether a convolution mixes pixels or channels. The effect is measured
    beside these pixels, where the skip does not carry it.
    """
    for args in WIDTHS:
        a = draw(rng, 2, args, 64, 64)
        change, half = 3 * torch.randn(2, args[0], 2, generator=rng), torch.rand(2, args[0], 2, generator=rng) < 0.5
        one, two = torch.zeros(2, *a["x"].shape)
        one[..., 32, 31:33], two[..., 32, 31:33] = change * half, change * ~half
        calls = [{**a, "x": a["x"] + d} for d in (0 * one, one, two, one + two)]
        outs = torch.stack(SUBJECT.finite(probe, rng, *calls, args=args)).double()  # (4, B, C, H, W)
        outs[..., 32, 31:33] = 0
        none, first, second, both = outs
        apart, whole = (d.flatten(1).norm(dim=1) for d in (both - first - second + none, both - none))  # (B,) each
        if (apart < ADDED * whole).all():
            raise Failed(
                "there is no activation between the first and the last convolution: the effects of changing two "
                "pixels simply add up. The usual branch is norm, SiLU, convolution, norm, SiLU, convolution"
            )


def sees_neighbours(probe: Probe, rng: Generator) -> None:
    """In a large image, one pixel hardly changes the norms, through which every pixel sees all others a little."""
    for args in WIDTHS:
        a = draw(rng, 2, args, 32, 32)
        b = {**a, "x": a["x"].clone()}
        b["x"][..., 16, 16] += 3 * torch.randn(2, args[0], generator=rng)
        one, two = SUBJECT.finite(probe, rng, a, b, args=args)
        moved = (two - one).abs().amax(1)  # (B, H, W)
        moved[:, 16, 16] = 0
        near, far = moved[:, 8:25, 8:25].amax((1, 2)), moved[:, :6].amax((1, 2))  # (B,) each
        if (near < BESIDE * far + SEES * one.std()).any():
            raise Failed(
                "a pixel does not see its neighbours: with block = AdaResBlock(32, 64, 16), x = torch.randn(1, 32, 9, "
                "9) and slightly changed parameters, another x[..., 4, 4] must clearly change the result at [..., 4, "
                "5]. The usual convolutions are 3×3, with padding=1"
            )


def conditioned_behind(probe: Probe, rng: Generator) -> None:
    for args in WIDTHS:
        a, other = (draw(rng, 3, args, 8, 8) for _ in "ab")
        _, out = SUBJECT.both(probe, "behind", a, {**a, "cond": other["cond"]}, args=list(args), seed=seed_of(rng))
        one, two, left = (tensor(out, f"out{i}", SUBJECT.shape(a, args), BLOCK) for i in range(3))
        if (relative_change(one, two) >= SEES).all() and (relative_change(one, left) < SEES).any():
            raise Failed(
                "cond acts only before the first convolution: pass cond to the second norm as well, so that it also "
                "scales and shifts the input of the last convolution"
            )


def checks(lesson: str) -> tuple[Check, ...]:
    check = partial(check_of, BLOCK, lesson)
    blind = (
        f"the output does not depend on cond: with {SUBJECT.example}, slightly changed parameters (a last layer may "
        "start at zero) and another cond, the output of every image must change"
    )
    return (
        check("keeps its contract", 0.5, contract),
        check("x is added to the result", 0.5, residual),
        check("the branch is normalised", 0.5, normalised),
        check("an activation between the convolutions", 0.5, activated),
        check("a pixel sees its neighbours", 0.25, sees_neighbours),
        check("the output depends on cond", 0.5, partial(properties.depends_on, SUBJECT, "cond", blind)),
        check("cond acts behind the first convolution too", 0.25, conditioned_behind),
        *properties.of_every_module(SUBJECT, lesson, SCALES),
    )
