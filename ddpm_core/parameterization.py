"""What the network predicts. Every choice is a target A(abar)·eps - B(abar)·x0, so one formula inverts them all.

epsilon: A = 1, B = 0 (Ho et al. 2020).         v:     A = sqrt(abar), B = sqrt(1 - abar) (Salimans & Ho 2022).
x0:      A = 0, B = -1.                         blend: (1 - abar)·eps + abar·v.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ddpm_core.schedule import DiffusionSchedule, at


@dataclass(frozen=True)
class Parameterization:
    """A pair that inverts: compute_training_target, and predict_x0 from the network's output."""

    name: str
    coefficients: Callable[[Tensor], tuple[Tensor, Tensor]]  # abar -> (A, B)

    def compute_training_target(self, x0: Tensor, eps: Tensor, t: Tensor, schedule: DiffusionSchedule) -> Tensor:
        """What the network is asked for: x0, eps (B, ...), t (B,) -> (B, ...)."""
        a, b = self.coefficients(at(schedule.alphas_cumprod, t, x0))
        return a * eps - b * x0

    def predict_x0(self, output: Tensor, xt: Tensor, t: Tensor, schedule: DiffusionSchedule) -> Tensor:
        """x0 from the network's output (B, ...), by eliminating eps from the target and from xt.

        In float32 the error is at most about 1e-6 / sqrt(abar): predicting eps is ill-posed where abar is tiny.
        """
        abar = at(schedule.alphas_cumprod, t, xt)
        a, b = self.coefficients(abar)
        r, s = abar.sqrt(), (1 - abar).sqrt()
        return (a * xt - s * output) / (a * r + b * s)


EPSILON = Parameterization("epsilon", lambda abar: (abar * 0 + 1, abar * 0))
V = Parameterization("v", lambda abar: (abar.sqrt(), (1 - abar).sqrt()))
X0 = Parameterization("x0", lambda abar: (abar * 0, abar * 0 - 1))
BLEND = Parameterization("blend", lambda abar: (1 - abar + abar * abar.sqrt(), abar * (1 - abar).sqrt()))

PARAMETERIZATIONS = {p.name: p for p in (EPSILON, V, X0, BLEND)}
