"""Checks of `DiTBlock`: it starts as the identity; later its tokens see each other and the condition."""

from functools import partial
from typing import Any

import torch
from torch import Generator

from autograder.exercises import properties
from autograder.exercises.base import Check, Failed, Probe, check_of, relative_change
from autograder.exercises.module import SAME, SEES, Batch, Subject

BLOCK = "DiTBlock"
LARGE = 1e4  # tokens so large that the output of a normalised branch is small beside them
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
MOVED = "slightly changed parameters (p.data += 0.1 * torch.randn_like(p), since zero gates hide what is behind them)"


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
                f"a fresh block is not the identity: with {SUBJECT.example}, block(x, cond) must equal x. The layer "
                "that reads cond starts with zero weight and bias, so both gates are 0. Use 1 + scale, but the gate "
                "itself"
            )


def attends(probe: Probe, rng: Generator) -> None:
    """Every token sees every other: the first sees the last, and the last sees the first."""
    a, other = (draw(rng, 4, SUBJECT.args) for _ in "ab")
    for seeing, seen in ((0, 5), (5, 0), (2, 3)):
        b = {**a, "x": a["x"].clone()}
        b["x"][:, seen] = other["x"][:, seen]
        one, two = SUBJECT.finite(probe, rng, a, b)
        if (relative_change(one[:, seeing], two[:, seeing]) < SEES).any():
            raise Failed(
                f"token {seeing} does not see token {seen}: with {SUBJECT.example}, {MOVED}, and another x[:, "
                f"{seen}], block(x, cond)[:, {seeing}] must change. Attention runs over the tokens, axis 1, without a "
                "mask"
            )


def equivariant(probe: Probe, rng: Generator) -> None:
    a, order = draw(rng, 3, SUBJECT.args), torch.randperm(6, generator=rng)
    one, two = SUBJECT.finite(probe, rng, a, {**a, "x": a["x"][:, order]})
    if (relative_change(one[:, order], two) > SAME).any():
        raise Failed(
            f"the block depends on the order of its tokens: with {SUBJECT.example}, {MOVED}, x.flip(1) must give "
            "block(x, cond).flip(1). Positions are added before the first block, not inside it. Also look for a "
            "reshape that mixes tokens with heads"
        )


def normalised(probe: Probe, rng: Generator) -> None:
    a = draw(rng, 3, SUBJECT.args)
    a["x"] *= LARGE
    (out,) = SUBJECT.finite(probe, rng, a)
    if (out - a["x"]).abs().max() > 0.02 * LARGE:
        raise Failed(
            "a branch is not normalised, or x is not added unchanged: for tokens of size 10,000, what the branches "
            f"add must be small in comparison. With {SUBJECT.example}, {MOVED}, look at block(1e4 * x, cond) - 1e4 * x"
        )
    a = draw(rng, 3, SUBJECT.args)
    small, large = {**a, "x": a["x"] / 8}, {**a, "x": a["x"] * 8}
    one, two = SUBJECT.finite(probe, rng, small, large, weights="awake", by=1e-3)  # gates a thousandth open
    one, two = one.double() - small["x"], two.double() - large["x"]
    if (one - two).norm() > 0.1 * two.norm():  # at most 0.004 with a norm, 0.8 with an eps of 1
        raise Failed(
            "small tokens are not normalised: with the gates almost closed, the block must add the same to x / 8 and "
            "8 * x, since the norm divides by the size of x. The norm's eps only prevents a division by zero and must "
            "be tiny"
        )
    far = {**a, "x": a["x"] * 400}
    one, two = SUBJECT.finite(probe, rng, large, far, weights="awake", by=0.05)
    one, two = one.double() - large["x"], two.double() - far["x"]
    if (one - two).norm() > 0.1 * two.norm():  # at most 0.01 with a norm, above 0.5 with a clamp
        raise Failed(
            "large tokens are changed before they are normalised: with the gates almost closed, the block must add the "
            "same to 8 * x and to 400 * x. Do not clamp"
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
