"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class EMA:
    """A smoothed copy of a network, `.module`, frozen and in eval mode.

    The decay at update k (from 1) is min(decay, (1 + k) / (10 + k)): without this warm-up a short run would keep
    mostly its random initial weights. Floating buffers are averaged too, integer buffers copied.
    """

    def __init__(self, model: nn.Module, decay: float = 0.9999):
        self.decay, self.updates = decay, 0
        self.module = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        new = model.state_dict()
        for name, old in self.module.state_dict().items():
            if old.is_floating_point():
                old.lerp_(new[name].to(old), 1 - decay)  # decay·old + (1 - decay)·new
            else:
                old.copy_(new[name])
