"""The solvers: ancestral DDPM, DDIM and DPM-Solver++(2M), each a generator of (xt, x0_hat) after every step.

Each takes a denoiser (xt, t) -> (x0_hat, eps), the initial noise xt (B, ...), and explicit timesteps, descending: from
one entry it steps to the next one of the list, and from the last to the clean image (abar = 1). So the spacing is exact
for any number of steps. (diffusers' DDIM steps to t - T//n instead, which is not the next entry where n does not divide
T: it then ends before or beside the clean image.) Draw, log or stop after any step as you like.

All of them step with the denoiser's eps, also where it does not agree with xt and x0_hat, as that of CFG++.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor

from ddpm_core.diffusion import Denoiser
from ddpm_core.samplers.noise import NoiseSource, draw_noise
from ddpm_core.schedule import DiffusionSchedule

Steps = Iterator[tuple[Tensor, Tensor]]


def hops(timesteps: Sequence[int] | Tensor, schedule: DiffusionSchedule) -> list[tuple[int, int | None]]:
    """(from, to) for every step, None being the clean image; ValueError where timesteps do not descend in T-1 ... 0."""
    times = [int(t) for t in timesteps]
    if not times or times[0] >= schedule.timesteps or times[-1] < 0 or any(a <= b for a, b in pairwise(times)):
        raise ValueError(f"timesteps must descend within {schedule.timesteps - 1} ... 0, got {times[:5]}...")
    return list(zip(times, [*times[1:], None]))


def ddim(
    denoise: Denoiser,
    xt: Tensor,
    schedule: DiffusionSchedule,
    timesteps: Sequence[int] | Tensor,
    eta: float = 0.0,
    noise: NoiseSource | Generator | None = None,
) -> Steps:
    """DDIM (Song et al. 2021, eq. 12). eta = 0 is deterministic, eta = 1 as noisy as DDPM (eq. 16)."""
    abar = schedule.alphas_cumprod
    for t, s in hops(timesteps, schedule):
        with torch.no_grad():  # inside the loop: a generator must not leave its caller's gradient mode changed
            x0, eps = denoise(xt, torch.full((len(xt),), t, device=xt.device))
            a, a_next = abar[t], abar[s] if s is not None else abar.new_ones(())  # the last step lands on abar = 1
            sigma = eta * ((1 - a_next) / (1 - a)).sqrt() * (1 - a / a_next).sqrt()  # eq. 16
            xt = a_next.sqrt() * x0 + (1 - a_next - sigma**2).clamp(min=0).sqrt() * eps
            if eta > 0 and s is not None:
                xt = xt + sigma * draw_noise(noise, t, xt)
        yield xt, x0


def ddpm(
    denoise: Denoiser,
    xt: Tensor,
    schedule: DiffusionSchedule,
    timesteps: Sequence[int] | Tensor,
    noise: NoiseSource | Generator | None = None,
) -> Steps:
    """Ancestral sampling: xt ~ q(x_next | xt, x0_hat) (Ho et al. 2020, eq. 6-7), also with a stride.

    Eq. 7's mean, a weighted sum of x0_hat and xt, is written in x0_hat and eps here: xt = sqrt(abar)·x0 +
    sqrt(1 - abar)·eps makes the two one.
    """
    abar = schedule.alphas_cumprod
    for t, s in hops(timesteps, schedule):
        with torch.no_grad():
            x0, eps = denoise(xt, torch.full((len(xt),), t, device=xt.device))
            a, a_next = abar[t], abar[s] if s is not None else abar.new_ones(())
            alpha = a / a_next  # 1 - beta, of all the timesteps in this stride together
            xt = a_next.sqrt() * x0 + alpha.sqrt() * (1 - a_next) / (1 - a).sqrt() * eps  # eq. 7
            if s is not None:
                variance = (1 - a_next) / (1 - a) * (1 - alpha)  # beta tilde, eq. 7
                xt = xt + variance.sqrt() * draw_noise(noise, t, xt)
        yield xt, x0


def dpm_solver_pp(
    denoise: Denoiser, xt: Tensor, schedule: DiffusionSchedule, timesteps: Sequence[int] | Tensor
) -> Steps:
    """DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2): second order at one evaluation a step, deterministic.

    A DDIM step takes x0_hat as constant on its way; this one adds the slope of x0_hat in log-SNR, estimated from the
    step before. The first step has none before it, and the last one goes to infinite log-SNR: both are DDIM's.
    """
    abar, lam = schedule.alphas_cumprod, schedule.half_log_snr.tolist()
    before: tuple[float, Tensor] | None = None  # log-SNR and x0_hat, one step back
    for t, s in hops(timesteps, schedule):
        with torch.no_grad():
            x0, eps = denoise(xt, torch.full((len(xt),), t, device=xt.device))
            a_next = abar[s] if s is not None else abar.new_ones(())
            xt = a_next.sqrt() * x0 + (1 - a_next).sqrt() * eps
            if s is not None and before is not None:
                h, h_before = lam[s] - lam[t], lam[t] - before[0]
                xt = xt - a_next.sqrt() * (math.expm1(-h) * h / (2 * h_before)) * (x0 - before[1])
            before = lam[t], x0
        yield xt, x0


SAMPLERS: dict[str, Callable[..., Steps]] = {"ddim": ddim, "ddpm": ddpm, "dpm++": dpm_solver_pp}


def last(steps: Steps) -> Tensor:
    """The sampler's result, keeping none of the steps before it."""
    for xt, _ in steps:
        result = xt
    return result
