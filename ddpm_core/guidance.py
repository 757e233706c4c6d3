"""From a network to a denoiser, with classifier-free guidance (Ho & Salimans 2022).

A denoiser is a function (xt, t) -> (x0_hat, eps), eps being the noise to step with. Samplers speak nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.schedule import DiffusionSchedule, at

Denoiser = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # (xt, t, cond) -> output; cond: labels (B,) or embeddings (B, D)


def split_output(
    output: Tensor, xt: Tensor, t: Tensor, schedule: DiffusionSchedule, parameterization: Parameterization = EPSILON
) -> tuple[Tensor, Tensor]:
    """The network's output (B, ...) -> x0_hat clamped to [-1, 1], and the noise that agrees with it."""
    abar = at(schedule.alphas_cumprod, t, xt)  # (B, 1, ...)
    x0 = parameterization.predict_x0(output, xt, t, schedule).clamp(-1, 1)
    return x0, (xt - abar.sqrt() * x0) / (1 - abar).sqrt()


def guided(
    network: Network,
    schedule: DiffusionSchedule,
    cond: Tensor,
    null: Tensor,
    w: float | Tensor = 1.0,
    parameterization: Parameterization = EPSILON,
) -> Denoiser:
    """Classifier-free guidance in one batched pass: out_u + w·(out_c - out_u).

    w = 0 is unconditional, w = 1 purely conditional, w > 1 guided (Ho & Salimans 2022, eq. 6, with their w + 1).
    cond (B, ...) and null (1, ...) are labels or class embeddings; w is a number, or a tensor (B,), one per sample.
    """

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(w, (int, float)) and w in (0, 1):  # one half of the doubled batch would be thrown away
            out = network(xt, t, cond if w == 1 else null.expand_as(cond))
        else:
            both = torch.cat([null.expand_as(cond), cond])  # (2B, ...)
            out_u, out_c = network(torch.cat([xt, xt]), t.repeat(2), both).chunk(2)  # 2 x (B, C, H, W)
            scale = w.view(-1, *[1] * (xt.dim() - 1)) if isinstance(w, Tensor) else w  # (B, 1, ...)
            out = out_u + scale * (out_c - out_u)
        return split_output(out, xt, t, schedule, parameterization)

    return denoise
