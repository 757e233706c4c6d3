"""Moves, counts and checks the weights of an answer, whatever they belong to."""

from typing import Any

import torch
from torch import nn


def perturb(module: nn.Module, seed: int, scale: float) -> None:
    """Move every parameter, as training would: a fresh module need not react yet, since gates may start at zero.

    Integer parameters, such as frozen indices, stay as they are.
    """
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in (p for p in module.parameters() if p.is_floating_point()):  # an index may be a frozen parameter
            p.add_(scale * torch.randn(p.shape, generator=rng, dtype=torch.float32).to(p.dtype))


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def reached(module: nn.Module, by_row: bool = False) -> dict[str, Any]:
    """Return how many parameters there are, how many got a non-zero gradient, and whether all gradients are finite.

    A parameter tensor counts as a whole, or `by_row`: part of a joint layer for queries, keys and values may lie idle.
    """
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    parts = [row for g in grads for row in (g if by_row and g.dim() else (g,))]
    some = sum(part.numel() for part in parts if bool((part != 0).any()))
    finite = all(bool(torch.isfinite(g).all()) for g in grads)
    return {"reached": some, "parameters": count(module), "finite": finite}
