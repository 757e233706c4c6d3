"""Moving the weights of an answer, as a training would."""

import torch
from torch import nn


def perturb(module: nn.Module, seed: int, scale: float) -> None:
    """Move every parameter: a fresh module need not react yet, since zero-initialised gates are right."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(scale * torch.randn(p.shape, generator=rng, dtype=torch.float32).to(p.dtype))
