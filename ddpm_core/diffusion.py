"""`Diffusion`: a network together with the meaning of its output. Sampling, guidance and training all take one.

A network alone does not show whether it predicts eps, v or x0, or which schedule it was trained on. Misread, its output
is garbage. So the three stay together, and a checkpoint loads as a `Diffusion` (`checkpoint.load_diffusion`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ddpm_core.parameterization import Parameterization
from ddpm_core.schedule import DiffusionSchedule, at

Denoiser = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (xt, t) -> (x0_hat, eps), eps: the noise to step with
Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # (xt, t, cond) -> output (B, ...)


def split_output(
    output: Tensor,
    xt: Tensor,
    t: Tensor,
    schedule: DiffusionSchedule,
    parameterization: Parameterization,
    clip: bool = True,
) -> tuple[Tensor, Tensor]:
    """The network's output (B, ...) -> x0_hat, clamped to [-1, 1] if clip, and the noise that agrees with it."""
    abar = at(schedule.alphas_cumprod, t, xt)  # (B, 1, ...)
    x0 = parameterization.predict_x0(output, xt, t, schedule).to(abar.dtype)
    x0 = x0.clamp(-1, 1) if clip else x0
    return x0, (xt - abar.sqrt() * x0) / (1 - abar).sqrt()


@dataclass(frozen=True)
class Diffusion:
    """A network, the schedule it was trained on, and what it predicts.

    cond is whatever the network takes: labels (B,), class embeddings (B, D) or caption tokens (B, S).
    """

    network: Network  # (xt, t, cond) -> output: an nn.Module, or any function
    schedule: DiffusionSchedule
    parameterization: Parameterization
    clip: bool = True  # images lie in [-1, 1], so predictions outside are wrong; latents have no bounds
    null: Tensor | None = None  # (1, ...), the empty condition; None: the network's own `null_cond`
    image_shape: tuple[int, ...] | None = None  # (C, H, W) of one sample; None: as in the network's config
    weak: Network | None = None  # a worse network, such as an earlier snapshot: w then scales autoguidance

    @property
    def device(self) -> torch.device:
        """The network's device, or the schedule's if the network is a plain function."""
        module = getattr(self.network, "__self__", self.network)  # the module of a method such as net.forward_with_cond
        p = next(module.parameters(), None) if isinstance(module, nn.Module) else None
        return self.schedule.alphas_cumprod.device if p is None else p.device

    @property
    def null_cond(self) -> Tensor:
        """The empty condition (1, ...). ValueError if neither `null` nor the network provides one."""
        null = self.null if self.null is not None else getattr(self.network, "null_cond", None)
        if null is None:
            raise ValueError("guidance needs the empty condition; give Diffusion(null=...), or the network a null_cond")
        return null

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of one sample. ValueError if it is unknown."""
        config = getattr(self.network, "config", None)
        shape = self.image_shape or getattr(config, "image_shape", None)
        if shape is None:
            raise ValueError(
                "this network does not say how large its images are; give Diffusion(image_shape=(C, H, W))"
            )
        return tuple(shape)

    def to(self, device: torch.device | str) -> Diffusion:
        """The same, with network and schedule on a device; modules are moved in place, as torch does."""
        for module in (self.network, self.weak):
            if isinstance(module, nn.Module):
                module.to(device)
        null = None if self.null is None else self.null.to(device)
        return replace(self, schedule=self.schedule.to(device), null=null)

    def on_embeddings(self) -> Diffusion:
        """The same, but conditioned on class embeddings (B, D), so points between two classes work too."""
        with torch.no_grad():
            cond = self.network.null_cond  # (1,), or None if an outside network never learnt an empty condition
            null = None if cond is None else self.network.embed_class(cond)  # (1, D)
        return replace(self, network=self.network.forward_with_cond, null=null, image_shape=self.shape)

    def output(self, xt: Tensor, t: Tensor, cond: Tensor, network: Network | None = None) -> Tensor:
        """The output of the network (or of `network` in its place) in xt's dtype; the network runs in its own dtype."""
        network = network or self.network
        module = getattr(network, "__self__", network)
        p = next(module.parameters(), xt) if isinstance(module, nn.Module) else xt
        return network(xt.to(p.dtype) if p.is_floating_point() else xt, t, cond).to(xt.dtype)

    def split(self, output: Tensor, xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The network's output (B, ...) -> (x0_hat, eps)."""
        return split_output(output, xt, t, self.schedule, self.parameterization, self.clip)
