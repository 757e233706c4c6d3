"""EDM: the noise level itself as time (Karras et al. 2022, https://arxiv.org/abs/2206.00364).

x = x0 + sigma·eps, which is the course's xt divided by sqrt(abar), with sigma = sqrt((1 - abar) / abar). So
`in_sigma` adapts any trained network to sigma. A denoiser here is (x, sigma) -> x0_hat, sigma of shape (B,).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_core.diffusion import Denoiser
from ddpm_core.schedule import DiffusionSchedule

SigmaDenoiser = Callable[[Tensor, Tensor], Tensor]  # (x, sigma) -> x0_hat (B, ...); x (B, ...), sigma (B,)


def over(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x).view(-1, *[1] * (x.dim() - 1))  # (B,) -> (B, 1, ...)


def schedule_sigmas(schedule: DiffusionSchedule) -> Tensor:
    """The noise level at each of the schedule's timesteps, (T,) float64, rising with t."""
    return (-schedule.half_log_snr).exp()


def karras_sigmas(steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Tensor:
    """Noise levels (steps + 1,), from sigma_max down to sigma_min, then 0; a larger rho puts more near 0 (eq. 5)."""
    ends, ramp = (sigma_max ** (1 / rho), sigma_min ** (1 / rho)), torch.linspace(0, 1, steps, dtype=torch.float64)
    return torch.cat([(ends[0] + ramp * (ends[1] - ends[0])) ** rho, ramp.new_zeros(1)])  # (steps + 1,)


def preconditioning(sigma: Tensor, sigma_data: float = 0.5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in and c_noise at sigma (B,), each (B,) (table 1). They give the network's input and target
    unit variance at every noise level, for data of standard deviation sigma_data."""
    total = sigma**2 + sigma_data**2
    return sigma_data**2 / total, sigma * sigma_data / total.sqrt(), 1 / total.sqrt(), sigma.log() / 4


def preconditioned(network: Callable[[Tensor, Tensor], Tensor], sigma_data: float = 0.5) -> SigmaDenoiser:
    """A denoiser from a raw network F(x, c_noise): D = c_skip·x + c_out·F(c_in·x, c_noise) (eq. 7)."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        c_skip, c_out, c_in, c_noise = preconditioning(sigma, sigma_data)
        return over(c_skip, x) * x + over(c_out, x) * network(over(c_in, x) * x, c_noise)

    return denoise


def in_sigma(denoiser: Denoiser, schedule: DiffusionSchedule) -> SigmaDenoiser:
    """Any denoiser of the course, guided or not, in terms of sigma; called at the timestep of the nearest level."""
    levels = schedule_sigmas(schedule).log()  # (T,)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        t = (levels - sigma.cpu().double().log()[:, None]).abs().argmin(1)  # (B, T) -> (B,)
        return denoiser(x / over((1 + sigma**2).sqrt(), x), t.to(x.device))[0]

    return denoise


def sigma_field(denoise: SigmaDenoiser) -> Callable[[Tensor, Tensor], Tensor]:
    """The slope dx/dsigma = (x - x0_hat) / sigma (eq. 1 and 3), sigma > 0: a field for `flow.heun_step`, in sigma."""
    return lambda x, sigma: (x - denoise(x, sigma.expand(len(x)))) / sigma
