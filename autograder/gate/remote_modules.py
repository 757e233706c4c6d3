"""Runs the course's own network in the parent, with an answer's pair plugged in that stays in the child.

All weights are here, including the pair's, and so are the optimiser and the averages. The child is only asked for
values, out = pair(inputs, weights), and their gradients. It never sees the network, so it cannot train or use another
one in its place, and the parent counts the pair's parameters itself. If the pair uses the class embedding once, the
numbers are bit for bit those of a single process; otherwise sums are rounded in another order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from autograder.exercises.base import Failed, Probe, sizes
from autograder.gate.network import network
from autograder.sandbox.limits import Failure
from ddpm_core.unet import ConditionalUNetV2, Conditioning

PREPARE = "prepare"  # the slot of prepare_conditioning; the conditioners' are 0, 1, …
MOST_WEIGHTS = 10_000  # tensors in all conditioners together; the largest reference has 90


def with_pair(probe: Probe, unet: dict[str, Any], seed: int) -> ConditionalUNetV2:
    """Build the network with the child's pair. All initial weights, including the pair's, depend only on the seed.

    When used, it raises Failed or Failure if the child's values or gradients are not valid.
    """
    link = Link(probe)
    net = network(unet, Conditioning(link.prepare, link.conditioner), seed)
    link.build()
    return net


def malformed() -> Failure:
    return Failure("invalid_output", "The answer's process sent a malformed result.")


class Link:
    """Connects a network with the pair in the child. Copies of the network, such as its EMA, share it."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.blocks: list[Conditioner] = []
        self.loaded: dict[int, list] = {}  # identifies the weights that each block in the child has
        self.rng = torch.empty(0)

    def __deepcopy__(self, memo: dict) -> Link:
        return self

    def conditioner(self, channels: int, cond_dim: int) -> Conditioner:
        """Return a block that gets its weights in `build`."""
        if not self.blocks:  # the rest of the network is built, so the pair's weights are drawn from here on
            self.rng = torch.get_rng_state()
        self.blocks.append(Conditioner(self, len(self.blocks), channels, cond_dim))
        return self.blocks[-1]

    def build(self) -> None:
        """Have the child build its blocks, and take over their weights. Shared weights stay shared."""
        shapes = [[b.channels, b.cond_dim] for b in self.blocks]
        reply, out = self.probe.both("build", {"rng": self.rng}, shapes=shapes)
        kept: dict[str, Tensor] = {}
        for block, names in zip(self.blocks, names_of(reply, len(self.blocks))):
            for name in names:
                if name not in out:
                    raise malformed()
                if name[0] == "b":  # a buffer
                    block.register_buffer(name, kept.setdefault(name, out[name]))
                else:  # a parameter: w, or f where it is frozen
                    learns = name[0] == "w" and out[name].is_floating_point()
                    block.register_parameter(name, kept.setdefault(name, nn.Parameter(out[name], requires_grad=learns)))

    def prepare(self, time_emb: Tensor, class_emb: Tensor) -> Tensor:
        """prepare_conditioning: 2 x (B, D) -> (B, D)."""
        header = {"training": False, "grad": torch.is_grad_enabled()}
        return Plugged.apply(self, PREPARE, header, {}, (), time_emb, class_emb)

    def values(self, slot: str | int, header: dict[str, Any], given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return `out`, and in training also the buffers; Failed if `out` has another shape or dtype than h.

        Under autocast, float32 and bfloat16 are allowed as well.
        """
        half = torch.is_autocast_enabled("cpu")
        out, h = self.probe("plug", given, slot=slot, autocast=half, **header), given["h"]
        value, dtypes = out.get("out"), {h.dtype, torch.float32, torch.bfloat16} if half else {h.dtype}
        if value is None or value.shape != h.shape or value.dtype not in dtypes:
            what = "prepare_conditioning" if slot == PREPARE else "ClassConditioner"
            got = "nothing that is a tensor" if value is None else f"{value.dtype} of shape {sizes(value)}"
            raise Failed(f"within the network, {what} returns {got} for {h.dtype} of shape {tuple(h.shape)}")
        return out

    def gradients(self, slot: str | int, grad: Tensor, wanted: dict[str, Tensor]) -> list[Tensor | None]:
        """Return the gradients of this slot's last values for each of `wanted`, or None if they do not depend on it."""
        out = self.probe("pull", {"grad": grad}, slot=slot)
        if any(n in out and (out[n].shape != w.shape or out[n].dtype != w.dtype) for n, w in wanted.items()):
            raise malformed()
        return [out.get(name) for name in wanted]


def names_of(reply: dict[str, Any], blocks: int) -> list[list[str]]:
    """Return the names of each block's weights, as the child gave them; Failure if they are malformed."""
    names = reply.get("weights")
    if not isinstance(names, list) or len(names) != blocks or not all(isinstance(own, list) for own in names):
        raise malformed()
    every = [name for own in names for name in own]
    right = all(isinstance(n, str) and n[:1] in ("w", "f", "b") and n[1:].isdecimal() and len(n) < 9 for n in every)
    if not right or len(every) > MOST_WEIGHTS or any(len(set(own)) < len(own) for own in names):
        raise malformed()
    return names


class Conditioner(nn.Module):
    """A block in the child: its weights, and forward(h (B, C, H, W), class_emb (B, D)) -> (B, C, H, W)."""

    def __init__(self, link: Link, slot: int, channels: int, cond_dim: int):
        super().__init__()
        self.link, self.slot, self.channels, self.cond_dim = link, slot, channels, cond_dim

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        weights = dict(self.named_parameters()) | dict(self.named_buffers())
        now = [id(self), *(w._version for w in weights.values())]
        sent = {} if self.link.loaded.get(self.slot) == now and not self.training else weights
        self.link.loaded[self.slot] = now
        header = {"training": self.training, "grad": torch.is_grad_enabled()}
        learning = {n: w for n, w in weights.items() if w.requires_grad}
        return Plugged.apply(self.link, self.slot, header, sent, tuple(learning), h, class_emb, *learning.values())


class Plugged(torch.autograd.Function):
    """Values and gradients from the child, as one operation of the parent's network."""

    @staticmethod
    def forward(ctx: Any, link: Link, slot: Any, header: dict, weights: dict, names: tuple[str, ...], *given: Tensor):
        """`given` holds h, class_emb and the weights called `names`, which get gradients."""
        out = link.values(slot, header, {"h": given[0], "class_emb": given[1], **weights})
        for name in (n for n in weights if n[0] == "b" and n in out):
            if out[name].shape != weights[name].shape or out[name].dtype != weights[name].dtype:
                raise malformed()
            weights[name].copy_(out[name])
        ctx.link, ctx.slot = link, slot
        ctx.wanted = dict(zip(("h", "class_emb", *names), (w.detach() for w in given))) if header["grad"] else {}
        return out["out"]

    @staticmethod
    def backward(ctx: Any, grad: Tensor):
        return None, None, None, None, None, *ctx.link.gradients(ctx.slot, grad, ctx.wanted)
