"""Questions for answers that call a denoiser: an exact one, built here from what the parent drew.

It knows images whose pixels are normally distributed around `denoiser.mean` with the standard deviations
`denoiser.width`. The timesteps at which the answer called it are returned with the result.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.child import functions
from autograder.child.functions import Reply


@dataclass(frozen=True)
class Schedule:
    """The part of a schedule that the task documents."""

    alphas_cumprod: Tensor  # (T,)

    @property
    def timesteps(self) -> int:
        return len(self.alphas_cumprod)


class Denoiser:
    """denoise(xt, t) -> (x0_hat, eps); like one with a trained network, it rejects inputs that do not fit together."""

    def __init__(self, mean: Tensor, width: Tensor, abar: Tensor):
        self.mean, self.width, self.abar = mean, width, abar
        self.times: list[Tensor] = []

    def __call__(self, xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        wanted = ", ".join(map(str, self.mean.shape))
        if not isinstance(xt, Tensor) or xt.shape[1:] != self.mean.shape:
            raise ValueError(f"the denoiser expects images of shape (B, {wanted})")
        if not isinstance(t, Tensor) or tuple(t.shape) != (len(xt),) or t.is_floating_point():
            raise ValueError("the denoiser expects t as a tensor of shape (B,), one integer per image")
        if int(t.min()) < 0 or int(t.max()) >= len(self.abar):
            raise IndexError(f"the denoiser takes timesteps from 0 to {len(self.abar) - 1}")
        self.times.append(t.detach()[0].clone())
        a = F.embedding(t, self.abar[:, None])[..., None, None].to(xt.dtype)  # (B, 1, 1, 1)
        mean, variance = self.mean.to(xt.dtype), self.width.to(xt.dtype) ** 2
        eps = (1 - a).sqrt() * (xt - a.sqrt() * mean) / (a * variance + 1 - a)
        return (xt - (1 - a).sqrt() * eps) / a.sqrt(), eps


def call(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """functions.call, with a denoiser and a schedule among the arguments if the parent sent them; also returns the
    timesteps at which the denoiser was called (`times`)."""
    if "schedule.alphas_cumprod" not in x:
        return functions.call(answers, header, x)
    abar = x["schedule.alphas_cumprod"]
    denoise = Denoiser(x["denoiser.mean"], x["denoiser.width"], abar)
    about, out = functions.call(answers, header, x, {"denoise": denoise, "schedule": Schedule(abar)})
    if out and denoise.times:
        out |= {"times": torch.stack(denoise.times)}
    return about, out
