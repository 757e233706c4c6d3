"""Between two classes, two noises, or both: a straight line, or the arc of a sphere (Shoemake 1985)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from ddpm_core.guidance import Network
from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.samplers import SampleConfig, denoiser, last, solve, spaced_timesteps, step_noise
from ddpm_core.schedule import DiffusionSchedule

MODES = ("linear", "spherical")
VARY = ("class", "noise", "both")


def interpolate_embeddings(a: Tensor, b: Tensor, alphas: Tensor, mode: str = "linear") -> Tensor:
    """From a (D,) at alpha = 0 to b (D,) at alpha = 1: alphas (N,) -> (N, D). ValueError for an unknown mode.

    "spherical" moves the direction along the arc between the two, and the length linearly; where the arc is not
    defined (parallel, antiparallel or zero vectors) it is linear too. Tensors of any other shape, such as noises or
    tokens, are taken as one long vector.
    """
    if mode not in MODES:
        raise ValueError(f"unknown mode '{mode}'; known: {', '.join(MODES)}")
    if a.dim() != 1:
        return interpolate_embeddings(a.flatten(), b.flatten(), alphas, mode).unflatten(1, a.shape)  # (N, ...)
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


def interpolate(
    network: Network,
    schedule: DiffusionSchedule,
    conds: Tensor,
    null: Tensor,
    noises: Tensor,
    w: float = 4.0,
    steps: int = 50,
    parameterization: Parameterization = EPSILON,
    config: SampleConfig | None = None,
    batch_size: int = 256,
    seed: int = 0,
) -> Tensor:
    """Images (N, C, H, W) along a path of conditions conds (N, ...) and noises (N, C, H, W), for any network.

    network(xt, t, cond) takes conditions of conds' kind, and null (1, ...) is the empty one. A solver that draws noise
    draws the same for the whole row (from `seed`), so that neighbours differ by the path alone.
    """
    config, images = config or SampleConfig(), []
    times = spaced_timesteps(schedule, steps, config.spacing)
    for cond, xt in zip(conds.split(batch_size), noises.split(batch_size)):
        denoise = denoiser(network, schedule, cond, null, w, parameterization, config)
        images.append(last(solve(denoise, xt, schedule, times, config, step_noise([0] * len(xt), seed))))
    return torch.cat(images)


def interpolate_classes(
    model: nn.Module,
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
    vary: str = "class",
    config: SampleConfig | None = None,
    batch_size: int = 256,
) -> Tensor:
    """A row of images (num_interp, C, H, W) from class_a to class_b, all from one noise; one image gives class_a.

    vary = "noise" keeps class_a and goes from one noise to another, always on the arc (a straight line between two
    noises passes through vectors too short to be noise); "both" does both at once. The model offers `embed_class`
    (B,) -> (B, D), `forward_with_cond(x, t, class_emb)` and `null_class`. ValueError for an unknown mode or vary.
    """
    if vary not in VARY:
        raise ValueError(f"unknown vary '{vary}'; known: {', '.join(VARY)}")
    device = next(model.parameters()).device
    alphas, shape = torch.linspace(0, 1, num_interp, device=device), (1, *image_shape)
    noise = torch.randn(shape, generator=generator).to(device)  # (1, C, H, W), one for the whole row ...
    noises = noise.repeat(num_interp, *[1] * len(image_shape))  # (N, C, H, W)
    if vary != "class":  # ... or one at either end
        noises = interpolate_embeddings(
            noise[0], torch.randn(shape, generator=generator).to(device)[0], alphas, "spherical"
        )
    with torch.no_grad():
        ends = model.embed_class(torch.tensor([class_a, class_b, model.null_class], device=device))  # (3, D)
    conds = ends[:1].repeat(num_interp, 1)  # (N, D)
    if vary != "noise":
        conds = interpolate_embeddings(ends[0], ends[1], alphas, mode)
    null, seed = ends[2:], generator.initial_seed() if generator else 0
    return interpolate(
        model.forward_with_cond, schedule.to(device), conds, null, noises, guidance_scale, num_steps, parameterization,
        config, batch_size, seed,
    )  # fmt: skip
