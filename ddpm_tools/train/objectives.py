"""Other distributions of training timesteps and other loss weights, for `train(..., loss=, times=)`."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ddpm_core.config import Preset
from ddpm_core.objectives import Loss, Times, mse, uniform_times
from ddpm_core.parameterization import Parameterization
from ddpm_core.schedule import DiffusionSchedule


def stratified_times(batch: int, schedule: DiffusionSchedule, generator: Generator) -> Tensor:
    """One timestep from each of B equal parts of 0 ... T-1, in random order, so the loss varies less between batches.
    Each is uniform on its own (Kingma et al. 2021, appendix I.1, draw them from one offset)."""
    draw = {"generator": generator, "device": generator.device}
    u = (torch.randperm(batch, **draw) + torch.rand(batch, **draw)) / batch  # (B,) in [0, 1)
    return (u * schedule.timesteps).long().clamp(max=schedule.timesteps - 1)


def logit_normal_times(mean: float = 0.0, std: float = 1.0) -> Times:
    """More timesteps from the middle of the schedule: t/T = sigmoid(normal) (Esser et al. 2024, section 3.1)."""

    def times(batch: int, schedule: DiffusionSchedule, generator: Generator) -> Tensor:
        u = torch.sigmoid(mean + std * torch.randn(batch, generator=generator, device=generator.device))  # (B,)
        return (u * schedule.timesteps).long().clamp(max=schedule.timesteps - 1)

    return times


def min_snr(parameterization: Parameterization, gamma: float = 5.0) -> Loss:
    """Mean squared error, with the error of x0 weighted by min(SNR, gamma) (Hang et al. 2023, eq. 8 and section 3.4).
    ValueError for a parameterization whose own weighting of the x0 error is unknown here."""
    # the weight of the x0 error in the plain error of each target, see lesson 5.1
    weights = {"epsilon": lambda snr: snr, "v": lambda snr: snr + 1, "x0": torch.ones_like}
    if parameterization.name not in weights:
        raise ValueError(f"min-SNR is known for {', '.join(weights)}, not for '{parameterization.name}'")
    own = weights[parameterization.name]

    def loss(output: Tensor, target: Tensor, t: Tensor, schedule: DiffusionSchedule) -> Tensor:
        snr = schedule.snr[t]  # (B,)
        error = (output.float() - target).square().flatten(1).mean(1)  # (B,)
        return (error * snr.clamp(max=gamma) / own(snr)).mean()

    return loss


LOSSES: dict[str, Callable[[Parameterization], Loss]] = {"mse": lambda _: mse, "min-snr-5": min_snr}
TIMES: dict[str, Times] = {
    "uniform": uniform_times,
    "stratified": stratified_times,
    "logit-normal": logit_normal_times(),
}


def objective(config: Preset, parameterization: Parameterization) -> tuple[Loss, Times]:
    """The loss and timesteps that a preset names; ValueError lists the known ones."""
    for name, value, known in (("loss", config.loss, LOSSES), ("times", config.times, TIMES)):
        if value not in known:
            raise ValueError(f"unknown {name} '{value}'; known: {', '.join(known)}")
    return LOSSES[config.loss](parameterization), TIMES[config.times]
