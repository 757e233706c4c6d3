"""Flows of pictures: sampling by their ODE, and straightening by training on pairs from the flow itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion import Diffusion
from ddpm_core.flow import Step, flow_sample, from_denoiser, heun_step, interpolate_path, velocity_target
from ddpm_core.guidance import guided
from ddpm_core.streams import stream
from ddpm_core.training import TrainConfig, TrainState, lr_at

Pairs = tuple[Tensor, Tensor, Tensor]  # noises and images (N, C, H, W), labels (N,)


@torch.no_grad()
def travel(flow: Diffusion, eps: Tensor, y: Tensor, evaluations: int, step: Step = heun_step, w: float = 1.0) -> Tensor:
    """Images (B, C, H, W) in [-1, 1] by the flow's ODE from noise eps, for labels y (B,), in that many evaluations.

    ValueError if the evaluations are not a whole number of steps: Heun's take two each. Predictions are not clamped
    on the way: at t = 0 the velocity of a clamped one is unbounded.
    """
    each = 2 if step is heun_step else 1
    if evaluations < each or evaluations % each:
        raise ValueError(f"a step takes {each} evaluations, so their number must be a multiple of that: {evaluations}")
    field = from_denoiser(guided(replace(flow, clip=False), y, w), flow.schedule)
    times = torch.linspace(1, 0, evaluations // each + 1, device=eps.device)
    return flow_sample(field, eps, times, step).clamp(-1, 1)


def pairs(flow: Diffusion, n: int, seed: int = 0, evaluations: int = 20, batch_size: int = 500) -> Pairs:
    """n noises, the images that the flow makes from them, and their labels, which cycle through the classes."""
    y = torch.arange(n, device=flow.device) % flow.network.null_class
    eps = torch.randn(n, *flow.shape, generator=stream(seed, "pairs")).to(flow.device)
    parts = zip(eps.split(batch_size), y.split(batch_size))
    return eps, torch.cat([travel(flow, e, labels, evaluations) for e, labels in parts]), y


def reflow(flow: Diffusion, made: Pairs, config: TrainConfig) -> Iterator[TrainState]:
    """Continue training a flow on pairs, each noise fixed to its image (Liu et al. 2023, algorithm 1).

    The network is trained in place; yields the state after every step.
    """
    eps, x0, y = made
    net, schedule = flow.network.train().requires_grad_(), flow.schedule
    state = TrainState.start(flow, config)
    for step in range(config.steps):
        rng = stream(config.seed, "reflow", step, flow.device)
        i = torch.randint(len(y), (config.batch_size,), generator=rng, device=flow.device)  # (B,)
        t = torch.randint(schedule.timesteps, (len(i),), generator=rng, device=flow.device)
        u = (t + 1) / (schedule.timesteps + 1)  # (B,), the position of timestep t on the straight path
        xt = interpolate_path(x0[i], eps[i], u) / ((1 - u) ** 2 + u**2).sqrt().view(-1, 1, 1, 1)
        loss = F.mse_loss(net(xt, t, y[i]), velocity_target(x0[i], eps[i]))
        state.optimizer.zero_grad()
        loss.backward()
        for group in state.optimizer.param_groups:
            group["lr"] = lr_at(step, config)
        state.optimizer.step()
        state.ema.update(net)
        state.step += 1
        yield state
