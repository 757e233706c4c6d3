"""Training with label dropout: a generator that yields after every step, so logging stays outside.

Every random number comes from a named stream of (seed, purpose, step). So two designs see the same data, timesteps and
noise, and a resumed run needs only weights and optimiser state to continue bit for bit. (That holds on a CPU. On a GPU
the order of sums can vary, and with it the last digits.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from ddpm_core.data import ImageData, to_float
from ddpm_core.diffusion import Diffusion
from ddpm_core.ema import EMA
from ddpm_core.objectives import Loss, Times, mse, uniform_times
from ddpm_core.streams import stream


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The defaults are the lesson's CIFAR-10 preset."""

    steps: int = 19_550  # 50 epochs of 391 batches
    batch_size: int = 128
    lr: float = 2e-4
    weight_decay: float = 1e-4
    warmup: int = 1000  # steps; at most a tenth of the run (`lr_at`)
    grad_clip: float = 1.0  # early gradients are spiky
    p_uncond: float = 0.15  # too low and the null class is never learnt, too high and the classes are learnt late
    ema_decay: float = 0.9999
    flip: bool = False  # horizontal flips: for photographs, never for digits
    preview_every: int = 3910  # steps; ten epochs
    seed: int = 0


@dataclass
class TrainState:
    """What changes during training: everything a checkpoint must hold."""

    diffusion: Diffusion  # with the network's current weights; sample from `averaged`
    ema: EMA
    optimizer: torch.optim.Optimizer
    step: int = 0

    @classmethod
    def start(cls, diffusion: Diffusion, config: TrainConfig, **how: bool) -> TrainState:
        """A fresh state on the network's device; `how` are AdamW's own options, such as fused."""
        model = diffusion.network
        how = how or ({"foreach": True} if diffusion.device.type == "cpu" else {})  # all at once: same numbers, faster
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, **how)
        return cls(diffusion.to(diffusion.device), EMA(model, config.ema_decay), optimizer)

    @property
    def model(self) -> nn.Module:
        """The network in training."""
        return self.diffusion.network

    @property
    def averaged(self) -> Diffusion:
        """The diffusion model with the averaged weights."""
        return replace(self.diffusion, network=self.ema.module)


@dataclass(frozen=True)
class Step:
    """What a training step reports, after the optimiser and EMA updates."""

    step: int  # steps done so far, from 1
    loss: Tensor  # on the device: the caller chooses when to read it, and so to synchronise
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
    """Each label becomes the null class with probability p_uncond, independently (Ho & Salimans 2022, algorithm 1).

    labels (B,), or caption tokens (B, S) with null_class (1, S); returns a new tensor.
    """
    coin = torch.rand(len(labels), generator=generator, device=labels.device)  # (B,)
    return torch.where(coin.view(-1, *[1] * (labels.dim() - 1)) < p_uncond, null_class, labels)


def batches(
    data: ImageData,
    config: TrainConfig,
    start: int = 0,
    device: torch.device | str = "cpu",
    move: Callable[..., Tensor] = Tensor.to,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (x0, y) on the device, from batch `start`, one permutation after another; a batch can span two."""
    n, step, epoch, order = len(data), start, -1, torch.empty(0, dtype=torch.long)
    while True:
        position, end, parts = step * config.batch_size, (step + 1) * config.batch_size, []
        while position < end:
            if position // n != epoch:
                epoch = position // n
                order = torch.randperm(n, generator=stream(config.seed, "order", epoch)).to(data.images.device)
            parts.append(order[position % n : position % n + end - position])
            position += len(parts[-1])
        index = torch.cat(parts)  # (B,), on the images' device: no index is transferred
        images, y = (move(v[index], device) for v in (data.images, data.labels))
        if config.flip:
            mirrored = torch.rand(len(index), generator=stream(config.seed, "flip", step, device), device=device) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        yield to_float(images), y
        step += 1


def endless(loader: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass over the loader after another. ValueError if a pass is empty."""
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise ValueError("the loader of training batches is empty, or can be gone through only once")


class Engine:
    """How a step is computed: here in float32, in one process. `ddpm_tools.train.engine` has others, for bfloat16,
    compilation and several processes, which keeps them out of the loop below."""

    def gradients(
        self, model: nn.Module, loss: Callable[..., Tensor], batch: Sequence[Tensor], target: Tensor
    ) -> Tensor:
        """The loss of a batch (xt, t, y), a scalar; leaves its gradients in the parameters."""
        value = loss(model(*batch), target, batch[1])
        value.backward()
        return value.detach()

    def check(self, norm: Tensor, state: TrainState, config: TrainConfig) -> None:
        """FloatingPointError if the gradient's norm is not finite, before it reaches the weights."""
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"the loss or its gradient is not finite at step {state.step}; try a lower learning rate (now "
                f"{config.lr:g}) or look for a division by zero in the conditioning"
            )


def train(
    state: TrainState,
    data: ImageData | Iterable[tuple[Tensor, Tensor]],
    config: TrainConfig,
    loss: Loss = mse,
    times: Times = uniform_times,
    engine: Engine | None = None,
) -> Iterator[Step]:
    """Train from state.step to config.steps (Ho et al. 2020, eq. 14); FloatingPointError if the loss is not finite.

    `data` is an ImageData, or any loader of (x0, y) that can be iterated over repeatedly. The network is any module
    with `forward(x, t, y)`, and `null_cond` if labels are dropped; labels are classes (B,) or tokens (B, S).
    """
    diffusion, model, opt, engine = state.diffusion, state.model.train(), state.optimizer, engine or Engine()
    schedule, device = diffusion.schedule, diffusion.device
    pairs = batches(data, config, state.step, device) if isinstance(data, ImageData) else endless(data)
    for x0, y in pairs:
        if state.step >= config.steps:
            return

        def rng(name: str) -> torch.Generator:
            return stream(config.seed, name, state.step, device)

        x0, y = x0.to(device), y.to(device)
        if config.p_uncond:
            y = drop_labels(y, config.p_uncond, diffusion.null_cond, rng("dropout"))
        t = times(len(x0), schedule, rng("t"))  # (B,)
        eps = torch.randn(x0.shape, generator=rng("noise"), device=device)  # (B, C, H, W)
        xt = schedule.q_sample(x0, t, eps)
        target = diffusion.parameterization.compute_training_target(x0, eps, t, schedule)

        opt.zero_grad(set_to_none=True)
        value = engine.gradients(model, partial(loss, schedule=schedule), (xt, t, y), target)
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        engine.check(norm, state, config)
        for group in opt.param_groups:
            group["lr"] = lr_at(state.step, config)
        opt.step()
        state.ema.update(model)
        state.step += 1
        yield Step(state.step, value, opt.param_groups[0]["lr"], norm)
