"""Samplers: from noise to images, given any denoiser (xt, t) -> (x0_hat, eps)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor
from tqdm.auto import tqdm

from ddpm_core.guidance import Denoiser, guided
from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import stream
from ddpm_core.unet import UNet


def ddim_timesteps(num_timesteps: int, num_steps: int) -> Tensor:
    """(num_steps,) int64, descending from T-1, gaps that differ by at most 1, ending one gap above -1.

    ValueError where more steps are asked for than there are timesteps.
    """
    if not 1 <= num_steps <= num_timesteps:
        raise ValueError(f"the number of steps must be between 1 and {num_timesteps}, got {num_steps}")
    return torch.arange(num_steps, 0, -1) * num_timesteps // num_steps - 1


def ddim(
    denoise: Denoiser,
    xt: Tensor,
    schedule: DiffusionSchedule,
    timesteps: Sequence[int] | Tensor,
    eta: float = 0.0,
    generator: Generator | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """DDIM (Song et al. 2021, eq. 12), a generator of (xt, x0_hat) after each step: draw, log or stop as you like.

    xt (B, ...) is the initial noise. eta = 0 is deterministic, eta = 1 as noisy as DDPM (eq. 16).
    """
    times = [int(t) for t in timesteps]
    abar = schedule.alphas_cumprod
    for t, s in zip(times, [*times[1:], None]):
        with torch.no_grad():  # inside the loop: a generator must not leave its caller's gradient mode changed
            x0, eps = denoise(xt, torch.full((len(xt),), t, device=xt.device))
            a, a_next = abar[t], abar[s] if s is not None else abar.new_ones(())  # the last step lands on abar = 1
            sigma = eta * ((1 - a_next) / (1 - a)).sqrt() * (1 - a / a_next).sqrt()  # eq. 16
            xt = a_next.sqrt() * x0 + (1 - a_next - sigma**2).clamp(min=0).sqrt() * eps
            if eta > 0 and s is not None:
                xt = xt + sigma * torch.randn(xt.shape, generator=generator, device=xt.device, dtype=xt.dtype)
        yield xt, x0


def last(steps: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
    """The sampler's result, keeping none of the steps before it."""
    for xt, _ in steps:
        result = xt
    return result


def initial_noise(indices: Sequence[int], shape: Sequence[int], seed: int = 0) -> Tensor:
    """One noise image a sample, (B, *shape): sample i's depends on (seed, i) alone, not on the batch it is made in."""
    return torch.stack([torch.randn(tuple(shape), generator=stream(seed, "sample", i)) for i in indices])


@torch.no_grad()
def sample(
    model: UNet,
    schedule: DiffusionSchedule,
    y: Tensor,
    w: float = 4.0,
    steps: int = 50,
    seed: int = 0,
    batch_size: int = 256,
    parameterization: Parameterization = EPSILON,
    progress: bool = False,
) -> Tensor:
    """Images (B, C, H, W) in [-1, 1] of the classes y (B,); peak memory depends on batch_size, not on B."""
    c, size = model.config.image_channels, model.config.image_size
    device = next(model.parameters()).device
    schedule, times = schedule.to(device), ddim_timesteps(schedule.timesteps, steps)
    images, bar = [], tqdm(total=len(y), unit="img", desc=f"sampling w={w:g}", disable=not progress)
    for ids in torch.arange(len(y)).split(batch_size):
        denoise = guided(model, schedule, y[ids].to(device), model.null_cond, w, parameterization)
        xt = initial_noise(ids.tolist(), (c, size, size), seed).to(device)
        images.append(last(ddim(denoise, xt, schedule, times)).cpu())
        bar.update(len(ids))
    bar.close()
    return torch.cat(images)
