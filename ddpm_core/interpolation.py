"""Between two classes, or two noises: a straight line, or the arc of a sphere (Shoemake 1985)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ddpm_core.guidance import guided
from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.samplers import ddim, ddim_timesteps, last
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.unet import UNet

MODES = ("linear", "spherical")


def interpolate_embeddings(a: Tensor, b: Tensor, alphas: Tensor, mode: str = "linear") -> Tensor:
    """From a (D,) at alpha = 0 to b (D,) at alpha = 1: alphas (N,) -> (N, D). ValueError for an unknown mode.

    "spherical" moves the direction along the arc between the two, and the length linearly; where the arc is not
    defined (parallel, antiparallel or zero vectors) it is linear too.
    """
    if mode not in MODES:
        raise ValueError(f"unknown mode '{mode}'; known: {', '.join(MODES)}")
    alphas = alphas[:, None].to(a)  # (N, 1)
    line = (1 - alphas) * a + alphas * b  # (N, D)
    if mode == "linear":
        return line
    len_a, len_b = a.norm(), b.norm()
    if len_a == 0 or len_b == 0:
        return line
    unit_a, unit_b = a / len_a, b / len_b
    # atan2 of the half-angle's sides: exact also where arccos of the dot product has lost all its digits
    angle = 2 * torch.atan2((unit_a - unit_b).norm(), (unit_a + unit_b).norm())
    if torch.sin(angle) < 1e-4:
        return line
    arc = (torch.sin((1 - alphas) * angle) * unit_a + torch.sin(alphas * angle) * unit_b) / torch.sin(angle)  # (N, D)
    return arc * ((1 - alphas) * len_a + alphas * len_b)


def interpolate_classes(
    model: UNet,
    schedule: DiffusionSchedule,
    class_a: int,
    class_b: int,
    num_interp: int,
    image_shape: Sequence[int],
    guidance_scale: float = 4.0,
    num_steps: int = 50,
    generator: Generator | None = None,
    mode: str = "linear",
    parameterization: Parameterization = EPSILON,
) -> Tensor:
    """A row of images (num_interp, C, H, W) from class_a to class_b, all from one noise; one image gives class_a."""
    device = next(model.parameters()).device
    schedule = schedule.to(device)
    noise = torch.randn((1, *image_shape), generator=generator).to(device)  # one for the whole row
    with torch.no_grad():
        ends = model.embed_class(torch.tensor([class_a, class_b, model.null_class], device=device))  # (3, D)
    cond = interpolate_embeddings(ends[0], ends[1], torch.linspace(0, 1, num_interp, device=device), mode)  # (N, D)
    denoise = guided(model.forward_with_cond, schedule, cond, ends[2:], guidance_scale, parameterization)
    xt = noise.repeat(num_interp, *[1] * len(image_shape))  # (N, C, H, W)
    return last(ddim(denoise, xt, schedule, ddim_timesteps(schedule.timesteps, num_steps)))
