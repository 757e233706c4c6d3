"""The solvers: ancestral DDPM, DDIM and DPM-Solver++(2M), each a generator of (xt, x0_hat) after every step.

Each takes a denoiser (xt, t) -> (x0_hat, eps), the initial noise xt (B, ...), and a descending list of timesteps. It
steps from each entry to the next, and from the last to the clean image (abar = 1), so the spacing is exact for any
number of steps. (diffusers' DDIM steps to t - T//n instead. If n does not divide T, that is not the next entry of its
"trailing" spacing, and it can miss the clean image.) You can plot, log or stop after any step.

All of them step with the denoiser's eps, even if it does not agree with xt and x0_hat, as in CFG++.
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
    """(from, to) for every step, None being the clean image; ValueError unless timesteps descend within [0, T-1]."""
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
    """Ancestral sampling: xt ~ q(x_next | xt, x0_hat) (Ho et al. 2020, eq. 6-7), with any stride.

    Eq. 7's mean is a weighted sum of x0_hat and xt. Here it is written in x0_hat and eps, which is the same because
    xt = sqrt(abar)·x0 + sqrt(1 - abar)·eps.
    """
    abar = schedule.alphas_cumprod
    for t, s in hops(timesteps, schedule):
        with torch.no_grad():
            x0, eps = denoise(xt, torch.full((len(xt),), t, device=xt.device))
            a, a_next = abar[t], abar[s] if s is not None else abar.new_ones(())
            alpha = a / a_next  # 1 - beta for the whole stride
            xt = a_next.sqrt() * x0 + alpha.sqrt() * (1 - a_next) / (1 - a).sqrt() * eps  # eq. 7
            if s is not None:
                variance = (1 - a_next) / (1 - a) * (1 - alpha)  # beta tilde, eq. 7
                xt = xt + variance.sqrt() * draw_noise(noise, t, xt)
        yield xt, x0


def dpm_solver_pp(
    denoise: Denoiser, xt: Tensor, schedule: DiffusionSchedule, timesteps: Sequence[int] | Tensor
) -> Steps:
    """DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2): second order with one evaluation per step, deterministic.

    A DDIM step treats x0_hat as constant; this one adds the slope of x0_hat in log-SNR, estimated from the previous
    step. The first step has no previous one, and the last goes to infinite log-SNR, so both are DDIM steps.
    """
    abar, lam = schedule.alphas_cumprod, schedule.half_log_snr.tolist()
    before: tuple[float, Tensor] | None = None  # log-SNR and x0_hat of the previous step
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
    """Run a sampler to its end, keeping only the result."""
    for xt, _ in steps:
        result = xt
    return result
