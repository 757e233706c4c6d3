"""What an average must be: the network's weights take values drawn here, so their average is known."""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite, returned, tensor

PARAMETERS = {
    "gain": (), "body.0.weight": (4, 3), "body.0.bias": (4,), "body.1.weight": (4,), "body.1.bias": (4,),
    "body.3.weight": (2, 4), "body.3.bias": (2,),
}  # fmt: skip
FLOATING = {"body.1.running_mean": (4,), "body.1.running_var": (4,)}
INTEGER = "body.1.num_batches_tracked"
SHAPES = {**PARAMETERS, **FLOATING, INTEGER: ()}
SHARED, FROZEN, TABLE, STEPS = ("embed.weight", "head.weight"), "fixed", "table", "steps"  # of the network `odd`
ODD = {"gain": (), **dict.fromkeys(SHARED, (5, 3)), FROZEN: (3,), TABLE: (3,), STEPS: (2,)}
WHOLE = {INTEGER: torch.int64, STEPS: torch.int32}


def path(rng: Generator, updates: int) -> dict[str, Tensor]:
    """The successive values of a network's weights, (updates + 1, ...) by name."""
    values = {n: torch.randn(updates + 1, *s, generator=rng) for n, s in {**PARAMETERS, **FLOATING}.items()}
    values["body.1.running_var"] = values["body.1.running_var"].abs() + 0.1
    values[INTEGER] = torch.randint(1, 40, (updates + 1,), generator=rng).cumsum(0) * 3
    return values


def odd_path(rng: Generator, updates: int) -> dict[str, Tensor]:
    """The same for the network `odd`, whose layers share a weight."""
    values = {n: torch.randn(updates + 1, *s, generator=rng) for n, s in ODD.items() if n not in WHOLE}
    values[SHARED[1]] = values[SHARED[0]]
    values[STEPS] = torch.randint(40, (updates + 1, *ODD[STEPS]), generator=rng).int()
    return values


def decays(updates: int, limit: float) -> list[float]:
    """The effective decay at each update, k from 1."""
    return [min(limit, (1 + k) / (10 + k)) for k in range(1, updates + 1)]


def average(values: Tensor, rates: list[float]) -> Tensor:
    """What the average must be before and after each update, (updates + 1, ...) in float64."""
    kept = [values[0].double()]
    for decay, new in zip(rates, values[1:].double()):
        kept.append(decay * kept[-1] + (1 - decay) * new)
    return torch.stack(kept)


def follow(
    probe: Probe, *paths: dict[str, Tensor], runs: list[dict] | None = None, net: str = "net", **header: object
) -> dict[str, Tensor]:
    """What the child saw (questions.py); Failed if `.module` is not a module."""
    sent = {f"{i}.{n}": v for i, values in enumerate(paths) for n, v in values.items()}
    updates = len(next(iter(sent.values()))) - 1
    about, out = probe.both("follow", sent, runs=runs or [{}], net=net, updates=updates, **header)
    if about.get("kind") != "Module":
        raise Failed(
            f"`.module` is {returned(about)} instead of a network: ema.module(x) must work like the model itself"
        )
    return out


def values_of(out: dict[str, Tensor], name: str, count: int, run: int = 0) -> Tensor:
    shape, dtype = (SHAPES | ODD)[name], WHOLE.get(name, torch.float32)
    return finite(tensor(out, f"{run}.{name}", (count, *shape), f"`{name}` of ema.module", dtype), f"`{name}`")


def modes(out: dict[str, Tensor], key: str) -> list[bool]:
    """Is anything in training mode, and is anything trainable?"""
    return tensor(out, key, (1, 2), "the report on ema.module", torch.bool)[0].tolist()


def near(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a.double(), b.double(), rtol=1e-4, atol=2e-5)
