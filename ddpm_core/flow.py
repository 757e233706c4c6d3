"""Flow matching: a straight line from image to noise, and an ODE whose solutions lead from one to the other.

    xt = (1 - t)·x0 + t·eps,  t in [0, 1];   dx/dt = v(xt, t),  v being the expected eps - x0 given xt.

Time grows with the noise, as everywhere in this book; Lipman et al. 2023 and Liu et al. 2023 count from noise to data.

This is the Gaussian family again: xt / sqrt((1 - t)^2 + t^2) is the xt of `q_sample` at abar = (1 - t)^2 / ((1 - t)^2 +
t^2). So a network with the schedule "straight" and the parameterization "flow" is trained, guided and sampled like any
other. Velocities are guided like other outputs, by `guidance.extrapolate`.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Generator, Tensor

from ddpm_core.diffusion import Denoiser
from ddpm_core.schedule import DiffusionSchedule

Field = Callable[[Tensor, Tensor], Tensor]  # (xt, t) -> dx/dt (B, ...); t a 0-d tensor
Step = Callable[[Field, Tensor, Tensor, Tensor], Tensor]  # (field, xt, t, t_next) -> xt at t_next


def interpolate_path(x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """Points on the path at times t (B,): x0, eps (B, ...) -> xt (Lipman et al. 2023, eq. 22, sigma_min = 0)."""
    t = t.view(-1, *[1] * (x0.dim() - 1)).to(x0)  # (B, 1, ...)
    return (1 - t) * x0 + t * eps


def velocity_target(x0: Tensor, eps: Tensor) -> Tensor:
    """What the network is trained to predict: d xt / dt, constant along the path (Liu et al. 2023, eq. 1)."""
    return eps - x0


def velocity_to_x0(xt: Tensor, v: Tensor, t: Tensor) -> Tensor:
    """The image a velocity points to: xt, v (B, ...), t (B,) -> (B, ...); exact on a path."""
    return xt - t.view(-1, *[1] * (xt.dim() - 1)).to(xt) * v


def flow_times(schedule: DiffusionSchedule) -> Tensor:
    """For each timestep (T,), the t at which the straight path has the same ratio of noise to image."""
    signal, noise = schedule.alphas_cumprod.sqrt(), (1 - schedule.alphas_cumprod).sqrt()
    return noise / (signal + noise)


def logit_normal_times(batch: int, schedule: DiffusionSchedule, generator: Generator) -> Tensor:
    """Timesteps (B,) for `train`: the logit of t is standard normal, so most lie mid-range (Esser et al. 2024, 3.1)."""
    t = torch.randn(batch, generator=generator, device=generator.device).sigmoid()
    return torch.searchsorted(flow_times(schedule).to(t), t).clamp(max=schedule.timesteps - 1)


def from_denoiser(denoise: Denoiser, schedule: DiffusionSchedule) -> Field:
    """The velocity eps - x0_hat of any denoiser, guided or not, called at the timestep nearest to t."""
    times = flow_times(schedule)

    def field(xt: Tensor, t: Tensor) -> Tensor:
        k = (times - t).abs().argmin().expand(len(xt))  # (T,) -> (B,)
        x0, eps = denoise(xt / ((1 - t) ** 2 + t**2).sqrt(), k)
        return eps - x0

    return field


def euler_step(field: Field, xt: Tensor, t: Tensor, t_next: Tensor) -> Tensor:
    """One evaluation per step; the final error is of first order. On the straight path this is DDIM's step."""
    return xt + (t_next - t) * field(xt, t)


def heun_step(field: Field, xt: Tensor, t: Tensor, t_next: Tensor) -> Tensor:
    """Two evaluations, one at each end of the step: second order (Karras et al. 2022, algorithm 1)."""
    v = field(xt, t)
    return xt + (t_next - t) * (v + field(xt + (t_next - t) * v, t_next)) / 2


def flow_path(field: Field, noise: Tensor, times: Tensor, step: Step = heun_step) -> Tensor:
    """All states (N+1, B, ...) at times (N+1,), which run from 1 to 0 to make images, or from 0 to 1 to make noise."""
    path = [noise]
    with torch.no_grad():
        for t, t_next in pairwise(times):
            path.append(step(field, path[-1], t, t_next))
    return torch.stack(path)


def flow_sample(field: Field, noise: Tensor, times: Tensor, step: Step = heun_step) -> Tensor:
    """The end of the flow: noise (B, ...), times (N+1,) -> (B, ...)."""
    return flow_path(field, noise, times, step)[-1]


def straightness(path: Tensor, times: Tensor) -> Tensor:
    """How much paths (N+1, B, ...) bend, (B,): the mean over time of |velocity - chord|^2, 0 if they are straight.

    S of Liu et al. 2023 (section 2.2). Velocities come from neighbouring states, so the steps should be fine.
    """
    dt = times.diff().view(-1, *[1] * (path.dim() - 1)).to(path)  # (N, 1, ...)
    bend = path.diff(dim=0) / dt - (path[-1] - path[0]) / dt.sum()  # (N, B, ...)
    return (bend.square() * dt / dt.sum()).sum(0).flatten(1).sum(1)  # (N, B, ...) -> (B,)
