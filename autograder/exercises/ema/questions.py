"""Questions for an answer that averages a network's weights: a small network takes the parent's values, the answer
follows it, and both are returned as data."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

Reply = tuple[dict[str, Any], dict[str, Tensor]]


class Weight(nn.Module):
    """One number, for long runs."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.body = nn.Parameter(torch.ones(())), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * self.body(x)


class Net(Weight):
    """Parameters of several shapes, in nested modules; floating and integer buffers, and a layer with two modes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


class Odd(Weight):
    """What is easily forgotten: two layers that share a weight, a frozen weight, and buffers of other kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.fixed = nn.Parameter(torch.zeros(3), requires_grad=False)
        self.register_buffer("table", torch.zeros(3))
        self.register_buffer("steps", torch.zeros(2, dtype=torch.int32))


NETS = {"net": Net, "weight": Weight, "odd": Odd}


def modes(modules: list[nn.Module], holds: Callable[[Iterable[bool]], bool] = any) -> Tensor:
    """For each: is any part in training mode, does any parameter require a gradient? (N, 2) bool"""
    flags = [[holds(p.training for p in m.modules()), holds(p.requires_grad for p in m.parameters())] for m in modules]
    return torch.tensor(flags)


def move(net: list[tuple[Tensor, Tensor]], k: int) -> None:
    """Set every weight to its k-th value in place, as an optimizer does."""
    with torch.no_grad():
        for weight, values in net:
            weight.copy_(values[k])


def follow(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """One EMA for each of `runs` (its constructor's keyword arguments), updated in turn.

    x holds the values that the i-th network takes, `{i}.{name}` (updates + 1, ...). Returns the module's values,
    `{i}.{name}` (updates + 1, ...), the first of them read after the network has already moved on. Also returns the
    network's final values, `source.{i}.{name}`, and whether any part of the modules is in training mode or trainable,
    at the `start` and the `end`, and all parts of the networks (`source`), each (runs, 2). With `last`, only the
    module's last values. With `double`, the networks are in float64. With `reloaded`, each EMA is made of a copy of the
    network that it then follows.
    """
    nets = [NETS[header["net"]]().train() for _ in header["runs"]]
    nets = [net.double() for net in nets] if header.get("double") else nets
    paths = [[(v, x[f"{i}.{n}"]) for n, v in net.state_dict(keep_vars=True).items()] for i, net in enumerate(nets)]
    for path in paths:
        move(path, 0)
    built = copy.deepcopy(nets) if header.get("reloaded") else nets
    emas = [answers["EMA"](net, **kwargs) for net, kwargs in zip(built, header["runs"])]
    if not all(isinstance(ema.module, nn.Module) for ema in emas):
        return {"kind": type(emas[0].module).__name__}, {}
    start = modes([ema.module for ema in emas])
    kept: dict[str, list[Tensor]] = {}

    def keep() -> None:
        for i, ema in enumerate(emas):
            for name, value in ema.module.state_dict().items():
                kept.setdefault(f"{i}.{name}", []).append(value.detach().clone())

    for k in range(1, header["updates"] + 1):
        for path in paths:
            move(path, k)
        if k == 1 and not header.get("last"):
            keep()
        for net, ema in zip(nets, emas):
            ema.update(net)
        if k == header["updates"] or not header.get("last"):
            keep()
    out = {name: torch.stack(values) for name, values in kept.items()}
    out |= {"start": start, "end": modes([ema.module for ema in emas]), "source": modes(nets, all)}
    out |= {f"source.{i}.{n}": v for i, net in enumerate(nets) for n, v in net.state_dict().items()}
    return {"kind": "Module"}, out


def elsewhere(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The devices of the module's values for a model on torch's `meta` device, which cannot mix with the CPU."""
    net = Net().to("meta")
    ema = answers["EMA"](net)
    for _ in range(2):
        ema.update(net)
    return {"devices": sorted({v.device.type for v in ema.module.state_dict().values()})}, {}
