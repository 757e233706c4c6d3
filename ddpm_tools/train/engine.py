"""How a step is computed on this machine: precision, compilation, micro-batches, multiple processes, checks for nan.
The book's loop (`ddpm_core.training.train`) defines what is computed; `ddpm train` passes this engine to it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from ddpm_core.data import ImageData
from ddpm_core.diffusion import Diffusion
from ddpm_core.training import Engine, TrainConfig, TrainState, batches
from ddpm_tools.train.distributed import ALONE, Ranks
from ddpm_tools.train.optimizers import by_name
from ddpm_tools.train.speed import Speed, compiled, hardware, resolve


def start(
    diffusion: Diffusion, config: TrainConfig, speed: Speed, data_bytes: int = 0, optimizer: str = "adamw"
) -> tuple[TrainState, Speed]:
    """A fresh state on the network's device, and `speed` with every "auto" chosen for that device. ValueError if the
    optimiser is unknown, or cannot be fused as asked."""
    if optimizer != "adamw":
        if speed.fused is True:
            raise ValueError(f"the optimizer '{optimizer}' cannot be fused; use fused=off or auto")
        speed = replace(speed, fused=False)
    speed = resolve(speed, hardware(diffusion.device), config.steps, data_bytes)
    if speed.channels_last:
        diffusion.network.to(memory_format=torch.channels_last)  # before the EMA copies the network
    state = TrainState.start(diffusion, config, **({"fused": True} if speed.fused else {}))
    return replace(state, optimizer=by_name(optimizer, diffusion, config, state.optimizer)), speed


class FastEngine(Engine):
    """An Engine for one process of `ranks`; it looks at the gradients every speed.check_every steps."""

    def __init__(self, state: TrainState, speed: Speed, config: TrainConfig, ranks: Ranks = ALONE):
        self.speed, self.ranks, self.config = speed, ranks, config
        self.shares = ranks.shares(config.batch_size, speed.micro_batches)
        self.forward = compiled(state.model, speed)
        self.device = state.diffusion.device
        # () on the device: the first step whose gradient was not finite, or -1; so no step has to wait for a GPU
        self.bad_step = torch.tensor(-1, device=self.device)

    def gradients(
        self, model: nn.Module, loss: Callable[..., Tensor], batch: tuple[Tensor, Tensor, Tensor], target: Tensor
    ) -> Tensor:
        value = torch.zeros((), device=self.device)
        for share in self.shares:  # one, the whole batch, unless there are several processes or micro-batches
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bool(self.speed.bf16)):
                output = self.forward(*(x[share] for x in batch))
            part = loss(output, target[share], batch[1][share]) / len(self.shares)
            part.backward()
            value += part.detach()
        self.ranks.mean([value, *(p.grad for p in model.parameters() if p.grad is not None)])
        return value

    def check(self, norm: Tensor, state: TrainState, config: TrainConfig) -> None:
        finite = torch.isfinite(norm)
        self.bad_step = torch.where(finite | (self.bad_step >= 0), self.bad_step, state.step)
        if self.speed.fused:  # GradScaler's switch: the kernel itself leaves weights and moments unchanged
            state.optimizer.found_inf = (~finite).float()
        if (state.step + 1) % self.speed.check_every == 0 or state.step + 1 == config.steps:
            self.verify()

    def verify(self) -> None:
        """FloatingPointError if a step's gradient was not finite."""
        if (bad := int(self.bad_step)) >= 0:
            half = ", float32 instead of bfloat16" if self.speed.bf16 else ""
            raise FloatingPointError(
                f"the loss or its gradient is not finite at step {bad}; try a lower learning rate (now "
                f"{self.config.lr:g}){half} or look for a division by zero in the conditioning"
            )

    def batches(self, data: ImageData, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of `ddpm_core.training.batches`, from images stored on the network's device if they fit."""
        if self.speed.data_on_device:
            data = replace(data, images=data.images.to(self.device), labels=data.labels.to(self.device))
        return batches(data, self.config, start, self.device, to_device)


def to_device(x: Tensor, device: torch.device | str) -> Tensor:
    """x on the device; copying to a GPU does not wait for its current work."""
    away = torch.device(device).type == "cuda" and x.device.type == "cpu"
    return x.pin_memory().to(device, non_blocking=True) if away else x.to(device)
