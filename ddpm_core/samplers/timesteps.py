"""Which timesteps a sampler visits: descending, each once, for any number of steps."""

import torch
from torch import Tensor

from ddpm_core.schedule import DiffusionSchedule

LOWEST_HALF_LOG_SNR = -5.1  # below it (abar < 4e-5) a cosine schedule is pure noise; DPM-Solver's code has this bound


def ddim_timesteps(num_timesteps: int, num_steps: int) -> Tensor:
    """(num_steps,) int64, descending from T-1 to one gap above -1, in gaps that differ by at most 1.

    ValueError unless num_steps is between 1 and num_timesteps.
    """
    if not 1 <= num_steps <= num_timesteps:
        raise ValueError(f"the number of steps must be between 1 and {num_timesteps}, got {num_steps}")
    return torch.arange(num_steps, 0, -1) * num_timesteps // num_steps - 1


def quadratic(schedule: DiffusionSchedule, num_steps: int) -> Tensor:
    """Gaps in t that shrink towards the image (Song et al. 2021, appendix D.2)."""
    u = torch.arange(num_steps, 0, -1, dtype=torch.float64) / num_steps
    return u**2 * schedule.timesteps - 1


def log_snr(schedule: DiffusionSchedule, num_steps: int) -> Tensor:
    """Equal gaps in log-SNR, from where the image begins to show to t = 0 (Lu et al. 2022, section 3.3)."""
    lam = schedule.half_log_snr
    wanted = torch.linspace(max(lam[-1].item(), LOWEST_HALF_LOG_SNR), lam[0].item(), num_steps, dtype=torch.float64)
    return (lam[None] - wanted[:, None]).abs().argmin(1)  # (num_steps, T) -> (num_steps,)


SPACINGS = {
    "uniform": lambda schedule, n: ddim_timesteps(schedule.timesteps, n),
    "quadratic": quadratic,
    "log-snr": log_snr,
}


def spaced_timesteps(schedule: DiffusionSchedule, num_steps: int, spacing: str = "uniform") -> Tensor:
    """(num_steps,) int64, strictly descending, in 0 ... T-1. ValueError for an unknown spacing or too many steps.

    If a spacing repeats a timestep, the next free one is taken, so T steps visit every timestep.
    """
    if spacing not in SPACINGS:
        raise ValueError(f"unknown spacing '{spacing}'; known: {', '.join(SPACINGS)}")
    ddim_timesteps(schedule.timesteps, num_steps)  # raises for an impossible number
    times, above = [], schedule.timesteps
    for left, t in zip(range(num_steps - 1, -1, -1), SPACINGS[spacing](schedule, num_steps).tolist()):
        above = max(min(round(t), above - 1), left)  # below the previous one, leaving room for the rest
        times.append(above)
    return torch.tensor(times)
