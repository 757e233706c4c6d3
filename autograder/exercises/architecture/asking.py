"""Asking an answer of the architecture exercise: the variables it reads, its inputs and outputs."""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite, tensor
from autograder.exercises.calls import same, seed_of

PERTURBED = 0.05


def environment(widths: str = "64,64,64,64", layers: int = 1, channels: int = 1, size: int = 8) -> dict[str, str]:
    """What the runner sets."""
    return {
        **{"BLOCK_OUT_CHANNELS": widths, "LAYERS_PER_BLOCK": str(layers)},
        **{"IMAGE_CHANNELS": str(channels), "IMAGE_SIZE": str(size)},
    }


def images(rng: Generator, batch: int, channels: int = 1, size: int = 8) -> dict[str, Tensor]:
    """Noisy images, each with its own timestep."""
    x = torch.randn(batch, channels, size, size, generator=rng)
    return {"x": x, "t": torch.randint(1000, (batch,), generator=rng)}


def forward(probe: Probe, rng: Generator, env: dict[str, str], *batches: dict[str, Tensor], **header) -> list[Tensor]:
    """The outputs; Failed if one does not have its input's shape, or an input was changed."""
    flat = {f"{k}{i}": v for i, b in enumerate(batches) for k, v in b.items()}
    seed = header.pop("seed", None) or seed_of(rng)
    out = probe("forward", flat, environment=env, seed=seed, batches=len(batches), **header)
    where = f"with BLOCK_OUT_CHANNELS={env['BLOCK_OUT_CHANNELS']}, the network"
    dtype = None if header.get("autocast") else torch.float32
    outs = [tensor(out, f"out{i}", tuple(b["x"].shape), where, dtype) for i, b in enumerate(batches)]
    for name, before in flat.items():
        if not same(out.get(f"in.{name}", before), before):
            raise Failed(
                f"the network changes its input `{'timestep' if name[0] == 't' else 'x'}` in place: look for +=, mul_ "
                "or inplace=True"
            )
    return [finite(o, "the network's output") for o in outs]


def count(probe: Probe, env: dict[str, str]) -> int:
    reply, _ = probe.both("parameters", environment=env, seed=0)
    number = reply.get("parameters")
    if type(number) is not int or number <= 0:
        raise Failed("the network has no parameters: nothing in it can learn")
    return number
