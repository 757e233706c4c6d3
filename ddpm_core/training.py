"""Training with label dropout: a generator that yields after every step, so that logging lives outside.

Every random number comes from a named stream of (seed, purpose, step): two designs see the same data, timesteps and
noise, and a resumed run continues bit for bit (on a CPU) with nothing but weights and optimiser state saved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.data import ImageData
from ddpm_core.ema import EMA
from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import stream


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The defaults are the lesson's CIFAR-10 preset."""

    steps: int = 19_550  # 50 epochs of 391 batches
    batch_size: int = 128
    lr: float = 2e-4
    weight_decay: float = 1e-4
    warmup: int = 1000  # never more than a tenth of the run: see lr_at
    grad_clip: float = 1.0  # early gradients are spiky
    p_uncond: float = 0.15  # too low and the null class is never learnt, too high and the classes are learnt late
    ema_decay: float = 0.9999
    flip: bool = False  # horizontal flips: for photographs, never for digits
    preview_every: int = 3910  # steps; ten epochs
    seed: int = 0


@dataclass
class TrainState:
    """What moves during training, and all that a checkpoint must hold."""

    model: nn.Module
    ema: EMA
    optimizer: torch.optim.Optimizer
    step: int = 0

    @classmethod
    def start(cls, model: nn.Module, config: TrainConfig) -> TrainState:
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        return cls(model, EMA(model, config.ema_decay), optimizer)


@dataclass(frozen=True)
class Step:
    """What a training step reports, after the optimiser and the EMA have moved."""

    step: int  # steps done so far, from 1
    loss: Tensor  # on the device: reading it is the caller's choice, not a synchronisation at every step
    lr: float


def lr_at(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then cosine decay to zero (Loshchilov & Hutter 2017)."""
    warmup = min(config.warmup, config.steps // 10)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))


def drop_labels(
    labels: Tensor, p_uncond: float, null_class: int | Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Each label becomes the null class with probability p_uncond, one coin each (Ho & Salimans 2022, algorithm 1).

    labels (B,), or captions' tokens (B, S) with null_class (1, S); returns a new tensor.
    """
    coin = torch.rand(len(labels), generator=generator, device=labels.device)  # (B,)
    return torch.where(coin.view(-1, *[1] * (labels.dim() - 1)) < p_uncond, null_class, labels)


def batches(data: ImageData, config: TrainConfig, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (x0, y) from batch `start` on: one permutation after another, a batch may straddle two."""
    n, step, epoch, order = len(data), start, -1, torch.empty(0, dtype=torch.long)
    while True:
        positions = torch.arange(step * config.batch_size, (step + 1) * config.batch_size)
        parts = []
        for e in (positions // n).unique().tolist():
            if e != epoch:
                epoch, order = e, torch.randperm(n, generator=stream(config.seed, "order", e))
            parts.append(order[positions[positions // n == e] % n])
        index = torch.cat(parts)  # (B,)
        x0 = data.floats(index)
        if config.flip:
            mirrored = torch.rand(len(index), generator=stream(config.seed, "flip", step)) < 0.5
            x0 = torch.where(mirrored[:, None, None, None], x0.flip(-1), x0)
        yield x0, data.labels[index]
        step += 1


def train(
    state: TrainState,
    data: ImageData,
    schedule: DiffusionSchedule,
    config: TrainConfig,
    parameterization: Parameterization = EPSILON,
) -> Iterator[Step]:
    """Train from state.step to config.steps (Ho et al. 2020, eq. 14); FloatingPointError if the loss is not finite."""
    model, opt = state.model.train(), state.optimizer
    device, null = next(model.parameters()).device, model.null_cond
    schedule = schedule.to(device)
    for x0, y in batches(data, config, state.step):
        if state.step >= config.steps:
            return

        def rng(name: str) -> torch.Generator:
            return stream(config.seed, name, state.step, device)

        x0, y = x0.to(device), drop_labels(y.to(device), config.p_uncond, null, rng("dropout"))
        t = torch.randint(schedule.timesteps, y.shape, generator=rng("t"), device=device)
        eps = torch.randn(x0.shape, generator=rng("noise"), device=device)
        output = model(schedule.q_sample(x0, t, eps), t, y)
        loss = F.mse_loss(output, parameterization.compute_training_target(x0, eps, t, schedule))
        for group in opt.param_groups:
            group["lr"] = lr_at(state.step, config)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"the loss or its gradient is not finite at step {state.step}; "
                f"try a lower learning rate (now {config.lr:g}) or look for a division by zero in the conditioning"
            )
        opt.step()
        state.ema.update(model)
        state.step += 1
        yield Step(state.step, loss.detach(), opt.param_groups[0]["lr"])
