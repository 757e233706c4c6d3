"""What the network predicts. Every choice is a target A(abar)·eps - B(abar)·x0, so one formula inverts them all.

epsilon: A = 1, B = 0 (Ho et al. 2020).         v:     A = sqrt(abar), B = sqrt(1 - abar) (Salimans & Ho 2022).
x0:      A = 0, B = -1.                         blend: (1 - abar)·eps + abar·v.
flow:    A = 1, B = 1 (Lipman et al. 2023).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_core.schedule import DiffusionSchedule, at

Target = Callable[[Tensor, Tensor, Tensor, DiffusionSchedule], Tensor]  # (x0, eps, t, schedule) -> target (B, ...)
Inverse = Callable[[Tensor, Tensor, Tensor, DiffusionSchedule], Tensor]  # (output, xt, t, schedule) -> x0 (B, ...)


@dataclass(frozen=True)
class Parameterization:
    """The training target and its inverse, x0 from the network's output."""

    name: str
    compute_training_target: Target
    predict_x0: Inverse


def linear(name: str, coefficients: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Parameterization:
    """The pair for the target A·eps - B·x0, given abar -> (A, B)."""

    def compute_training_target(x0: Tensor, eps: Tensor, t: Tensor, schedule: DiffusionSchedule) -> Tensor:
        """The training target: x0, eps (B, ...), t (B,) -> (B, ...)."""
        a, b = coefficients(at(schedule.alphas_cumprod, t, x0))
        return a * eps - b * x0

    def predict_x0(output: Tensor, xt: Tensor, t: Tensor, schedule: DiffusionSchedule) -> Tensor:
        """x0 from the network's output (B, ...), by eliminating eps from the target and from xt.

        In float32 the error is below 1e-6 / sqrt(abar): predicting eps is ill-posed where abar is tiny. Where abar is 0
        the result is finite but meaningless.
        """
        abar = at(schedule.alphas_cumprod, t, xt)
        a, b = coefficients(abar)
        r, s = abar.sqrt(), (1 - abar).sqrt()
        d = a * r + b * s
        return (a * xt - s * output) / torch.where(d == 0, 1e-20, d)

    return Parameterization(name, compute_training_target, predict_x0)


EPSILON = linear("epsilon", lambda abar: (abar * 0 + 1, abar * 0))
V = linear("v", lambda abar: (abar.sqrt(), (1 - abar).sqrt()))
X0 = linear("x0", lambda abar: (abar * 0, abar * 0 - 1))
BLEND = linear("blend", lambda abar: (1 - abar + abar * abar.sqrt(), abar * (1 - abar).sqrt()))
FLOW = linear("flow", lambda abar: (abar * 0 + 1, abar * 0 + 1))

PARAMETERIZATIONS = {p.name: p for p in (EPSILON, V, X0, BLEND, FLOW)}
