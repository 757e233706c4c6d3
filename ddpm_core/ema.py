"""Exponential moving average of a network's weights."""

import copy
from itertools import chain

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class EMA:
    """A smoothed copy of a network, `.module`: frozen, in eval mode, and in at least float32.

    The decay at update k (from 1) is min(decay, (1 + k) / (10 + k)). Without this warm-up, a short run would mostly
    keep its random initial weights. Floating-point buffers are averaged too; integer buffers are copied. A copy in
    bfloat16 would never move: at a decay of 0.9999, every update would be lost to rounding.
    """

    def __init__(self, model: nn.Module, decay: float = 0.9999):
        self.decay, self.updates = decay, 0
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        for x in chain(self.module.parameters(), self.module.buffers()):
            if x.is_floating_point():
                x.data = x.data.to(torch.promote_types(x.dtype, torch.float32))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Blend the model's current weights into the average; call it after every optimiser step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        pairs = list(
            zip(chain(self.module.parameters(), self.module.buffers()), chain(model.parameters(), model.buffers()))
        )
        averaged = [(old, new.to(old)) for old, new in pairs if old.is_floating_point()]
        if averaged:  # decay·old + (1 - decay)·new, in one kernel for all tensors if the device has one
            get_ema_multi_avg_fn(decay)(*map(list, zip(*averaged)), None)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)
