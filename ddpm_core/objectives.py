"""Which timesteps are trained on, and how errors are weighted: the `times` and `loss` of `train`."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ddpm_core.schedule import DiffusionSchedule

Times = Callable[[int, DiffusionSchedule, Generator], Tensor]  # (B, schedule, generator) -> timesteps (B,) int64
Loss = Callable[[Tensor, Tensor, Tensor, DiffusionSchedule], Tensor]  # (output, target, t, schedule) -> scalar


def uniform_times(batch: int, schedule: DiffusionSchedule, generator: Generator) -> Tensor:
    """Timesteps drawn uniformly (Ho et al. 2020, algorithm 1)."""
    return torch.randint(schedule.timesteps, (batch,), generator=generator, device=generator.device)


def mse(output: Tensor, target: Tensor, t: Tensor, schedule: DiffusionSchedule) -> Tensor:
    """Mean squared error, with equal weight for every timestep (Ho et al. 2020, eq. 14)."""
    return F.mse_loss(output.float(), target)
