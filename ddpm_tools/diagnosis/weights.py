"""What the weights and the loss curve say about training."""

from collections.abc import Sequence
from itertools import accumulate
from math import inf

import torch
from torch import Tensor, nn


def vector(network: object) -> Tensor | None:
    """All parameters in one vector (P,); None if the network is not a module."""
    if not isinstance(network, nn.Module) or not (parameters := list(network.parameters())):
        return None
    return torch.cat([p.detach().flatten().float() for p in parameters])


def distance(a: object, b: object) -> float | None:
    """Norm of a - b relative to that of b, over all weights; None if they do not correspond."""
    x, y = vector(a), vector(b)
    if x is None or y is None or x.shape != y.shape:
        return None
    return float((x - y).norm() / y.norm().clamp(min=1e-12))


def finite(network: object) -> bool:
    """False if a weight is nan or infinite."""
    x = vector(network)
    return x is None or bool(torch.isfinite(x).all())


def spikes(losses: Sequence[float]) -> float:
    """How far the loss rose again: the worst mean after the best one, as a multiple of it, over twentieths of the run.
    1 if the loss only falls; about 1.3 in a healthy, noisy run; 0 without a record."""
    size = max(1, len(losses) // 20)
    means = [sum(losses[i : i + size]) / size for i in range(0, len(losses) - size + 1, size)]
    best = list(accumulate(means, min, initial=inf))[1:]
    return max([0.0, *(m / b for m, b in zip(means, best) if b > 0)])
