"""Training with label dropout: a generator that yields after every step, so that logging lives outside.

Every random number comes from a named stream of (seed, purpose, step): two designs see the same data, timesteps and
noise, and a resumed run continues bit for bit (on a CPU; on a GPU the order of sums is not promised, and so neither are
the last digits) with nothing but weights and optimiser state saved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.data import ImageData
from ddpm_core.ema import EMA
from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import stream
from ddpm_tools.train.distributed import ALONE, Ranks
from ddpm_tools.train.speed import Speed, compiled, hardware, resolve


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
    """What moves during training, and all that a checkpoint must hold; `speed` says how it is computed."""

    model: nn.Module
    ema: EMA
    optimizer: torch.optim.Optimizer
    step: int = 0
    speed: Speed = field(default_factory=Speed)
    # () on the device: the first step whose gradient was not finite, or -1
    bad_step: Tensor = field(default_factory=lambda: torch.tensor(-1))

    @classmethod
    def start(
        cls, model: nn.Module, config: TrainConfig, speed: Speed | None = None, data_bytes: int = 0
    ) -> TrainState:
        """A fresh state where the model lies; what `speed` leaves open is chosen for that device."""
        device = next(model.parameters()).device
        speed = resolve(speed or Speed(), hardware(device), config.steps, data_bytes)
        if speed.channels_last:
            model = model.to(memory_format=torch.channels_last)  # before the EMA copies it
        # All parameters at once: on a CPU, too, the same numbers in less time
        how = {"fused": True} if speed.fused else {"foreach": True} if device.type == "cpu" else {}
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, **how)
        return cls(model, EMA(model, config.ema_decay), optimizer, 0, speed, torch.tensor(-1, device=device))

    def verify(self, config: TrainConfig) -> None:
        """FloatingPointError where a step's gradient was not finite. A GPU is waited for: not at every step."""
        if (bad := int(self.bad_step)) >= 0:
            half = ", float32 in place of bfloat16" if self.speed.bf16 else ""
            raise FloatingPointError(
                f"the loss or its gradient is not finite at step {bad}; try a lower learning rate (now {config.lr:g})"
                f"{half} or look for a division by zero in the conditioning"
            )


@dataclass(frozen=True)
class Step:
    """What a training step reports, after the optimiser and the EMA have moved."""

    step: int  # steps done so far, from 1
    loss: Tensor  # on the device: reading it is the caller's choice, not a synchronisation at every step
    lr: float
    norm: Tensor  # of the gradient before clipping, on the device


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


def batches(
    data: ImageData, config: TrainConfig, start: int = 0, device: torch.device | str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (x0, y) on the device from batch `start` on: one permutation after another, a batch may straddle two."""
    n, step, epoch, order = len(data), start, -1, torch.empty(0, dtype=torch.long)
    while True:
        position, end, parts = step * config.batch_size, (step + 1) * config.batch_size, []
        while position < end:
            if position // n != epoch:
                epoch = position // n
                order = torch.randperm(n, generator=stream(config.seed, "order", epoch)).to(data.images.device)
            parts.append(order[position % n : position % n + end - position])
            position += len(parts[-1])
        index = torch.cat(parts)  # (B,), where the images lie: looking them up there copies nothing
        images, y = (to_device(v[index], device) for v in (data.images, data.labels))
        if config.flip:
            mirrored = torch.rand(len(index), generator=stream(config.seed, "flip", step, device), device=device) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        yield replace(data, images=images, labels=y).floats(), y
        step += 1


def to_device(x: Tensor, device: torch.device | str) -> Tensor:
    """x on the device; towards a GPU without waiting for what it is doing."""
    away = torch.device(device).type == "cuda" and x.device.type == "cpu"
    return x.pin_memory().to(device, non_blocking=True) if away else x.to(device)


def train(
    state: TrainState,
    data: ImageData,
    schedule: DiffusionSchedule,
    config: TrainConfig,
    parameterization: Parameterization = EPSILON,
    ranks: Ranks = ALONE,
) -> Iterator[Step]:
    """Train from state.step to config.steps (Ho et al. 2020, eq. 14); FloatingPointError if the loss is not finite.

    The network is any module with `null_cond` and `forward(x, t, y)`; labels are classes (N,) or tokens (N, S).
    """
    model, opt, speed = state.model.train(), state.optimizer, state.speed
    device, null, forward = next(model.parameters()).device, model.null_cond, compiled(model, speed)
    schedule, shares = schedule.to(device), ranks.shares(config.batch_size, speed.micro_batches)
    if speed.data_on_device:
        data = replace(data, images=data.images.to(device), labels=data.labels.to(device))
    for x0, y in batches(data, config, state.step, device):
        if state.step >= config.steps:
            return

        def rng(name: str) -> torch.Generator:
            return stream(config.seed, name, state.step, device)

        y = drop_labels(y, config.p_uncond, null, rng("dropout"))
        t = torch.randint(schedule.timesteps, y.shape[:1], generator=rng("t"), device=device)  # (B,)
        eps = torch.randn(x0.shape, generator=rng("noise"), device=device)
        xt, target = schedule.q_sample(x0, t, eps), parameterization.compute_training_target(x0, eps, t, schedule)
        opt.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=device)
        for share in shares:  # all of the batch, but for several processes or micro-batches
            with torch.autocast(device.type, torch.bfloat16, enabled=speed.bf16):
                output = forward(xt[share], t[share], y[share])
            part = F.mse_loss(output.float(), target[share]) / len(shares)
            part.backward()
            loss += part.detach()
        ranks.mean([loss, *(p.grad for p in model.parameters() if p.grad is not None)])
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        finite = torch.isfinite(norm)
        state.bad_step = torch.where(finite | (state.bad_step >= 0), state.bad_step, state.step)
        if speed.fused:
            opt.found_inf = (~finite).float()  # GradScaler's switch: the kernel itself leaves weights and moments alone
        if (state.step + 1) % speed.check_every == 0 or state.step + 1 == config.steps:
            state.verify(config)
        for group in opt.param_groups:
            group["lr"] = lr_at(state.step, config)
        opt.step()
        state.ema.update(model)
        state.step += 1
        yield Step(state.step, loss, opt.param_groups[0]["lr"], norm)
