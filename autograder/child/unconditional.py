"""Trains a network on batches that the parent sends, for the unconditional gates.

The parent draws images, timesteps and noise and sets the learning rate, so two answers see the same data whatever
random numbers they draw themselves.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.ema import EMA


def noisy(x0: Tensor, t: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """Return xt (B, ...) for x0, eps (B, ...) and t (B,)."""
    a = abar[t].view(-1, *[1] * (x0.dim() - 1))  # (B, 1, ...)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


class Learner:
    """A network with its optimiser and its averaged weights (EMA)."""

    def __init__(self, model: nn.Module, train: dict[str, Any]):
        self.model, self.clip = model.train(), train["grad_clip"]
        self.ema = EMA(model, train["ema_decay"])
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=train["weight_decay"], fused=True)

    def learn(self, x: dict[str, Tensor], abar: Tensor, target: Callable[..., Tensor], output: Callable) -> Tensor:
        """Take one step per row of x0, eps (n, B, ...), t (n, B) and lr (n,), and return the losses (n,).

        output(model, xt, t) is trained towards target(x0, eps, t); ValueError if their shapes differ.
        """
        losses = []
        for x0, eps, t, lr in zip(x["x0"], x["eps"], x["t"], x["lr"].tolist()):
            out, goal = output(self.model, noisy(x0, t, eps, abar), t), target(x0, eps, t)
            if out.shape != goal.shape:  # mse_loss would broadcast and train something else
                raise ValueError(f"the network's output has shape {tuple(out.shape)}, its target {tuple(goal.shape)}")
            loss = F.mse_loss(out, goal)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
            self.ema.update(self.model)
            losses.append(loss.detach().float())
        return torch.stack(losses)
