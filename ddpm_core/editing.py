"""Editing an image with an existing model: no training, and any denoiser works, guided or not."""

import torch
from torch import Tensor

from ddpm_core.diffusion import Denoiser
from ddpm_core.samplers.solvers import ddim, hops, last
from ddpm_core.schedule import DiffusionSchedule


def invert_ddim(denoise: Denoiser, x0: Tensor, schedule: DiffusionSchedule, timesteps: Tensor) -> Tensor:
    """The noise (B, ...) from which DDIM, with the same descending timesteps, nearly recovers the image x0.

    Takes DDIM's steps backwards (Song et al. 2021, section 4.3). Each uses the eps at its start, not at its end: hence
    "nearly". The clean image has no timestep of its own, so the smallest in the list stands in.
    """
    abar, xt = schedule.alphas_cumprod, x0
    with torch.no_grad():
        for t, s in reversed(hops(timesteps, schedule)):  # from s up to t; None is the clean image
            a, a_next = abar[s] if s is not None else abar.new_ones(()), abar[t]
            _, eps = denoise(xt, torch.full((len(xt),), t if s is None else s, device=xt.device))
            xt = (a_next / a).sqrt() * (xt - (1 - a).sqrt() * eps) + (1 - a_next).sqrt() * eps  # eq. 12 from s to t
    return xt


def sdedit(denoise: Denoiser, x0: Tensor, eps: Tensor, schedule: DiffusionSchedule, timesteps: Tensor) -> Tensor:
    """Noise the guide x0 (B, ...) up to the first of the descending timesteps, then denoise it (Meng et al. 2022)."""
    t = torch.full((len(x0),), int(timesteps[0]), device=x0.device)
    return last(ddim(denoise, schedule.q_sample(x0, t, eps), schedule, timesteps))


def inpaint_step(xt: Tensor, x0: Tensor, mask: Tensor, abar: Tensor, eps: Tensor) -> Tensor:
    """Replace the known part of xt, where mask is 1, with x0 at noise level abar (Lugmayr et al. 2022, eq. 8)."""
    return mask * (abar.sqrt() * x0 + (1 - abar).sqrt() * eps) + (1 - mask) * xt
