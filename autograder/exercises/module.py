"""Asking an answer that is a module.

Its parameters are perturbed first, since a fresh module need not react to its conditioning yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from autograder.child.protocol import Message
from autograder.exercises.base import Failed, Probe, finite, relative_change, returned, sizes
from autograder.exercises.calls import same, seed_of

Batch = dict[str, Tensor]  # the inputs of one call by name, in the order of the signature

SEES = 1e-3  # of the output's spread; rounding is a hundred times smaller
SAME = 1e-3


@dataclass(frozen=True)
class Subject:
    """A class that an exercise asks for: how to build it and call it."""

    name: str
    args: tuple[Any, ...]  # of the constructor, unless a property needs others
    draw: Callable[[Generator, int, tuple[Any, ...]], Batch]  # inputs for a batch size and these arguments
    shape: Callable[[Batch, tuple[Any, ...]], tuple[int, ...]]  # of the output
    usual: Callable[[tuple[Any, ...]], int]  # parameters of the usual design
    example: str  # a small input: "block = …, x = …"

    def both(self, probe: Probe, op: str, *batches: Batch, more: Batch | None = None, **header: Any) -> Message:
        """An operation of autograder/child/blocks.py on these batches, with `more` tensors; its whole reply."""
        sent, calls = spell(*batches)
        asked = {"name": self.name, "args": list(self.args), "calls": calls, "weights": "perturbed", **header}
        return probe.both(op, sent | (more or {}), **asked)

    def ask(
        self, probe: Probe, rng: Generator, *batches: Batch, args: tuple[Any, ...] | None = None, **header: Any
    ) -> list[Tensor]:
        """One output per batch, from one module; Failed if one is not a tensor of the right shape and dtype."""
        args = self.args if args is None else args
        about, out = self.both(probe, "forward", *batches, args=list(args), seed=seed_of(rng), **header)
        kinds, outs = about.get("kinds") or [], []
        for i, batch in enumerate(batches):
            kind = {"kind": kinds[i]} if i < len(kinds) else {}
            outs.append(self._output(out.get(f"out{i}"), kind, batch, args, bool(header.get("autocast"))))
            for name, before in batch.items():
                if not same(out.get(f"in.{name}{i}", before), before):
                    raise Failed(
                        f"{self.name} changes its input `{name}` in place: with {self.example}, {name} must be the "
                        "same after the call, since the caller still needs it (no +=, no mul_, no inplace=True)"
                    )
        return outs

    def _output(self, x: Tensor | None, about: dict, batch: Batch, args: tuple, autocast: bool) -> Tensor:
        shapes = ", ".join(f"{k} {tuple(v.shape)}" for k, v in batch.items())
        where = f"{self.name}({', '.join(map(str, args))}) on {shapes}"
        if x is None:
            raise Failed(f"{where} returns {returned(about)} instead of a tensor")
        if tuple(x.shape) != self.shape(batch, args):
            raise Failed(f"{where} returns shape {sizes(x)}, but {self.shape(batch, args)} is expected")
        if x.dtype != torch.float32 and not (autocast and x.dtype == torch.bfloat16):
            raise Failed(f"{where} returns {x.dtype} for float32 inputs")
        return x

    def finite(self, probe: Probe, rng: Generator, *batches: Batch, **more: Any) -> list[Tensor]:
        return [finite(x, f"{self.name}'s output") for x in self.ask(probe, rng, *batches, **more)]


def spell(*batches: Batch) -> tuple[Batch, list[dict]]:
    """The tensors of several calls, each under its own name, and the calls; a mask is passed by keyword."""
    sent = {f"{k}{i}": v for i, b in enumerate(batches) for k, v in b.items()}
    calls = [
        {"args": [f"{k}{i}" for k in b if k != "mask"], "kwargs": {k: f"{k}{i}" for k in b if k == "mask"}}
        for i, b in enumerate(batches)
    ]
    return sent, calls


def changes(full: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """How far each sample moves when the other half of the batch is replaced; `first` keeps the first half, (B,)."""
    half = len(full) // 2
    return torch.cat([relative_change(full, first)[:half], relative_change(full, last)[half:]])


def mixed(a: Batch, b: Batch, keep: Tensor) -> Batch:
    """a's samples where `keep` (B,), b's elsewhere."""
    return {k: torch.where(keep.view(-1, *[1] * (v.dim() - 1)), v, b[k]) for k, v in a.items()}
