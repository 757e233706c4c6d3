"""Asking a cross-attention: its inputs, and what it adds to them."""

from typing import Any

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Probe
from autograder.exercises.module import Batch, Subject

NAME = "CrossAttention"
EXAMPLE = "attend = CrossAttention(32, 16), x = torch.randn(1, 3, 32), context = torch.randn(1, 5, 16)"


def draw(rng: Generator, batch: int, args: tuple[Any, ...], length: int = 6, tokens: int = 5) -> Batch:
    """Image tokens, context, and a mask that allows at least two tokens of each row and forbids at least one."""
    return {
        "x": torch.randn(batch, length, args[0], generator=rng),
        "context": torch.randn(batch, tokens, args[1], generator=rng),
        "mask": masks(rng, batch, tokens),
    }


def masks(rng: Generator, batch: int, tokens: int) -> Tensor:
    """(B, S) bool, a different pattern in each row: 2 … S - 1 tokens are allowed."""
    count = 2 + torch.randint(tokens - 2, (batch, 1), generator=rng)  # (B, 1)
    return torch.rand(batch, tokens, generator=rng).argsort(1).argsort(1) < count


def bare(batch: Batch) -> Batch:
    """Without the mask."""
    return {k: v for k, v in batch.items() if k != "mask"}


SUBJECT = Subject(
    NAME,
    args=(32, 24, 4),
    draw=draw,
    shape=lambda batch, args: tuple(batch["x"].shape),
    usual=lambda args: 2 * args[0] * (args[0] + args[1]) + 6 * args[0],
    example=EXAMPLE,
)
# B, L and S that equal each other or the four heads can hide a wrong broadcast, so these shapes vary
SIZES = ((4, 4, 4), (4, 6, 5), (2, 5, 7), (5, 5, 4))


def update(subject: Subject, probe: Probe, rng: Generator, *batches: Batch, **more: Any) -> list[Tensor]:
    """What the context adds to x, in float64."""
    outs = subject.finite(probe, rng, *batches, **more)
    return [out.double() - b["x"].double() for out, b in zip(outs, batches)]
