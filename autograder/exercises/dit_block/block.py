"""Checks of `DiTBlock`: the identity at the start, and then tokens that see each other and the condition."""

from functools import partial
from typing import Any

import torch
from torch import Generator

from autograder.exercises import properties
from autograder.exercises.base import Check, Failed, Probe, check_of, relative_change
from autograder.exercises.module import SAME, SEES, Batch, Subject

BLOCK = "DiTBlock"
LARGE = 1e4  # tokens beside which whatever a normalised branch gives is small
SCALES = {"x": (1e4, 1.0, 0.0), "cond": (1.0, 100.0, 0.0)}  # at which outputs must be finite


def draw(rng: Generator, batch: int, args: tuple[Any, ...], tokens: int = 6) -> Batch:
    return {
        "x": torch.randn(batch, tokens, args[0], generator=rng),
        "cond": torch.randn(batch, args[1], generator=rng),
    }


SUBJECT = Subject(
    BLOCK,
    args=(32, 24, 4),
    draw=draw,
    shape=lambda batch, args: tuple(batch["x"].shape),
    usual=lambda args: 12 * args[0] ** 2 + 9 * args[0] + 6 * args[0] * (args[1] + 1),
    example="block = DiTBlock(32, 16), x = torch.randn(2, 6, 32), cond = torch.randn(2, 16)",
)
MOVED = "its parameters moved a little (p.data += 0.1 * torch.randn_like(p), since zero gates hide what is behind them)"


def contract(probe: Probe, rng: Generator) -> None:
    for args, batch, tokens in (((32, 24, 4), 2, 6), ((40, 16), 1, 1), ((16, 16, 2), 16, 16), ((24, 40, 3), 3, 9)):
        a = draw(rng, batch, args, tokens)
        for weights in ("fresh", "perturbed"):
            SUBJECT.finite(probe, rng, a, args=args, weights=weights)


def identity(probe: Probe, rng: Generator) -> None:
    for args in ((32, 24, 4), (48, 16)):
        a = draw(rng, 3, args)
        (out,) = SUBJECT.finite(probe, rng, a, args=args, weights="fresh")
        if (out - a["x"]).abs().max() > 1e-5:
            raise Failed(
                f"a fresh block is not the identity: with {SUBJECT.example}, block(x, cond) must be x. The layer that "
                "reads cond starts at zero, weight and bias, so both gates are 0; scale acts as 1 + scale, but the "
                "gate as it is"
            )


def attends(probe: Probe, rng: Generator) -> None:
    """Every token sees every other: the first one the last, and the last one the first."""
    a, other = (draw(rng, 4, SUBJECT.args) for _ in "ab")
    for seeing, seen in ((0, 5), (5, 0), (2, 3)):
        b = {**a, "x": a["x"].clone()}
        b["x"][:, seen] = other["x"][:, seen]
        one, two = SUBJECT.finite(probe, rng, a, b)
        if (relative_change(one[:, seeing], two[:, seeing]) < SEES).any():
            raise Failed(
                f"token {seeing} does not see token {seen}: with {SUBJECT.example}, {MOVED}, and another x[:, {seen}], "
                f"the output block(x, cond)[:, {seeing}] must change. Attention goes over the tokens, axis 1, without "
                "a mask"
            )


def equivariant(probe: Probe, rng: Generator) -> None:
    a, order = draw(rng, 3, SUBJECT.args), torch.randperm(6, generator=rng)
    one, two = SUBJECT.finite(probe, rng, a, {**a, "x": a["x"][:, order]})
    if (relative_change(one[:, order], two) > SAME).any():
        raise Failed(
            f"the block depends on the order of its tokens: with {SUBJECT.example}, {MOVED}, x.flip(1) must give "
            "block(x, cond).flip(1). Where a patch lies is told to the tokens before the first block, not in it; look "
            "for a reshape that mixes tokens with heads, too"
        )


def normalised(probe: Probe, rng: Generator) -> None:
    a = draw(rng, 3, SUBJECT.args)
    a["x"] *= LARGE
    (out,) = SUBJECT.finite(probe, rng, a)
    if (out - a["x"]).abs().max() > 0.02 * LARGE:
        raise Failed(
            "a branch is not normalised, or x is not added as it is: beside tokens of size 10,000 what the branches "
            f"add must be small. With {SUBJECT.example}, {MOVED}, look at block(1e4 * x, cond) - 1e4 * x"
        )
    a = draw(rng, 3, SUBJECT.args)
    small, large = {**a, "x": a["x"] / 8}, {**a, "x": a["x"] * 8}
    one, two = SUBJECT.finite(probe, rng, small, large, weights="awake", by=1e-3)  # gates a thousandth open
    one, two = one.double() - small["x"], two.double() - large["x"]
    if (one - two).norm() > 0.1 * two.norm():  # 0.004 and less with a norm, 0.8 with an eps of 1
        raise Failed(
            "small tokens are not normalised: while the gates are almost shut, x / 8 and 8 * x must be given the same, "
            "since the norm divides by the size of x. Its eps only guards against a division by zero, and is tiny"
        )


def checks(lesson: str) -> tuple[Check, ...]:
    check = partial(check_of, BLOCK, lesson)
    blind = f"the output does not depend on cond: with {SUBJECT.example}, {MOVED}, and another cond, it must change"
    return (
        check("keeps its contract", 0.25, contract),
        check("the identity at the start", 0.5, identity),
        check("tokens see each other", 0.5, attends),
        check("tokens have no order", 0.25, equivariant),
        check("the branches are normalised", 0.25, normalised),
        check("the output depends on cond", 0.25, partial(properties.depends_on, SUBJECT, "cond", blind)),
        *properties.of_every_module(SUBJECT, lesson, SCALES),
    )
