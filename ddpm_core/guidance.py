"""From a network to a denoiser, and guidance: a strong answer pushed away from a weak one.

A denoiser is a function (xt, t) -> (x0_hat, eps), eps being the noise to step with. Samplers speak nothing else, so
every guidance here works with every sampler. Guidance takes *branches*, which give the two outputs to compare:

    batched(network, cond, null)           with the condition against without, in one pass of a doubled batch
    autoguidance(network, weak, cond)      a network against an earlier snapshot of itself

and makes a denoiser of them: `guide` (with rescale), or `cfg_pp`. `guidance_interval` confines any denoiser to one.
cond (B, ...) may be labels (B,), embeddings (B, D) or caption tokens (B, S); null is the empty condition (1, ...).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.schedule import DiffusionSchedule, at

Denoiser = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # (xt, t, cond) -> output (B, ...)
Branches = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (xt, t) -> weak and strong output, 2 x (B, ...)


def split_output(
    output: Tensor,
    xt: Tensor,
    t: Tensor,
    schedule: DiffusionSchedule,
    parameterization: Parameterization = EPSILON,
    clip: bool = True,
) -> tuple[Tensor, Tensor]:
    """The network's output (B, ...) -> x0_hat, clamped to [-1, 1] where clip, and the noise that agrees with it."""
    abar = at(schedule.alphas_cumprod, t, xt)  # (B, 1, ...)
    x0 = parameterization.predict_x0(output, xt, t, schedule).to(abar.dtype)
    x0 = x0.clamp(-1, 1) if clip else x0
    return x0, (xt - abar.sqrt() * x0) / (1 - abar).sqrt()


def plain(
    network: Network,
    schedule: DiffusionSchedule,
    cond: Tensor,
    parameterization: Parameterization = EPSILON,
    clip: bool = True,
) -> Denoiser:
    """The network's own answer for cond (B, ...), without guidance."""

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return split_output(network(xt, t, cond).to(xt.dtype), xt, t, schedule, parameterization, clip)

    return denoise


def batched(network: Network, cond: Tensor, null: Tensor) -> Branches:
    """Without and with the condition, in one pass of a doubled batch."""

    def branches(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([null.expand_as(cond), cond])  # (2B, ...)
        return network(torch.cat([xt, xt]), t.repeat(2), both).to(xt.dtype).chunk(2)  # 2 x (B, C, H, W)

    return branches


def autoguidance(network: Network, weak: Network, cond: Tensor) -> Branches:
    """Autoguidance (Karras et al. 2024): the same condition, asked of a worse network, such as an earlier snapshot."""

    def branches(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return weak(xt, t, cond).to(xt.dtype), network(xt, t, cond).to(xt.dtype)

    return branches


def extrapolate(weak: Tensor, strong: Tensor, w: float | Tensor) -> Tensor:
    """weak + w·(strong - weak): w = 0 is weak, w = 1 strong (Ho & Salimans 2022, eq. 6, with their w + 1).

    w is a number, or a tensor (B,), one per sample.
    """
    scale = w.to(weak).view(-1, *[1] * (weak.dim() - 1)) if isinstance(w, Tensor) else w  # (B, 1, ...)
    return weak + scale * (strong - weak)


def rescaled(out: Tensor, strong: Tensor, phi: float) -> Tensor:
    """Give the guided output the contrast of the conditional one, by a share phi in [0, 1].

    Guidance raises an output's standard deviation, and with it the image's exposure (Lin et al. 2024, eq. 15-16).
    """
    dims = tuple(range(1, out.dim()))
    wanted, got = (x.std(dims, correction=0, keepdim=True) for x in (strong, out))  # (B, 1, ...)
    return out * (phi * torch.where(got > 0, wanted / got, 1) + 1 - phi)


def guide(
    branches: Branches,
    schedule: DiffusionSchedule,
    w: float | Tensor,
    parameterization: Parameterization = EPSILON,
    rescale: float = 0.0,
    clip: bool = True,
) -> Denoiser:
    """Guidance by w: classifier-free with `batched` branches, autoguidance with `autoguidance`."""

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        weak, strong = branches(xt, t)
        out = extrapolate(weak, strong, w)
        if rescale:
            out = rescaled(out, strong, rescale)
        return split_output(out, xt, t, schedule, parameterization, clip)

    return denoise


def cfg_pp(
    branches: Branches,
    schedule: DiffusionSchedule,
    lam: float | Tensor,
    parameterization: Parameterization = EPSILON,
    clip: bool = True,
) -> Denoiser:
    """CFG++ (Chung et al. 2024, algorithm 2): the guided image, but the unconditional noise to step with.

    lam in [0, 1] interpolates where w extrapolates; it is no guidance scale: DDIM's steps with lam equal those of
    plain guidance with a w that is larger than lam and changes from step to step, and more steps guide more.
    """

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        weak, strong = branches(xt, t)
        x0, _ = split_output(extrapolate(weak, strong, lam), xt, t, schedule, parameterization, clip)
        return x0, split_output(weak, xt, t, schedule, parameterization, clip)[1]

    return denoise


def guidance_interval(low: int, high: int, inside: Denoiser, outside: Denoiser) -> Denoiser:
    """`inside` at timesteps low <= t <= high, `outside` elsewhere (Kynkäänniemi et al. 2024).

    With plain conditional answers outside (w = 1), the second pass is spent only where guidance helps: at high noise
    it costs variety, at low noise it does nothing.
    """

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        guided_ones = (t >= low) & (t <= high)  # (B,); samplers give all images one t, so one of two is called
        if guided_ones.all():
            return inside(xt, t)
        if not guided_ones.any():
            return outside(xt, t)
        mask = guided_ones.view(-1, *[1] * (xt.dim() - 1))  # (B, 1, ...)
        a, b = inside(xt, t), outside(xt, t)
        return torch.where(mask, a[0], b[0]), torch.where(mask, a[1], b[1])

    return denoise


def guided(
    network: Network,
    schedule: DiffusionSchedule,
    cond: Tensor,
    null: Tensor,
    w: float | Tensor = 1.0,
    parameterization: Parameterization = EPSILON,
    rescale: float = 0.0,
    clip: bool = True,
) -> Denoiser:
    """Classifier-free guidance in one batched pass: out_u + w·(out_c - out_u).

    w = 0 is unconditional, w = 1 purely conditional, w > 1 guided; a number, or a tensor (B,), one per sample.
    cond (B, ...) and null (1, ...) are labels, class embeddings or caption tokens.
    """
    if isinstance(w, (int, float)) and w in (0, 1):  # one half of the doubled batch would be thrown away
        only = cond if w == 1 else null.expand_as(cond)
        return plain(network, schedule, only, parameterization, clip)
    return guide(batched(network, cond, null), schedule, w, parameterization, rescale, clip)
