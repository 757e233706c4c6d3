"""Asking an answer that is a module.

A module is asked with its parameters perturbed: a fresh one need not react to its conditioning yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import same, seed_of

Batch = dict[str, Tensor]  # the inputs of one call by name, in the order of the signature

SEES = 1e-3  # a change of a thousandth of the output's spread: rounding is a hundred times smaller
SAME = 1e-3


@dataclass(frozen=True)
class Subject:
    """A class that an exercise asks for: how to build it and call it."""

    name: str
    args: tuple[Any, ...]  # of the constructor, where a property does not ask for others
    draw: Callable[[Generator, int, tuple[Any, ...]], Batch]  # inputs for a batch size and these arguments
    shape: Callable[[Batch, tuple[Any, ...]], tuple[int, ...]]  # of the output
    usual: Callable[[tuple[Any, ...]], int]  # parameters of the usual design
    example: str  # a small input: "block = …, x = …"

    def ask(
        self,
        probe: Probe,
        rng: Generator,
        *batches: Batch,
        args: tuple[Any, ...] | None = None,
        seed: int | None = None,
        weights: str = "perturbed",
        **header: Any,
    ) -> list[Tensor]:
        """One output for each batch, from one module; Failed where one is not a tensor of the right shape and dtype."""
        args = self.args if args is None else args
        seed = seed_of(rng) if seed is None else seed
        sent, calls = spell(*batches)
        about, out = probe.both(
            "forward", sent, name=self.name, args=list(args), calls=calls, seed=seed, weights=weights, **header
        )
        outs = []
        for i, batch in enumerate(batches):
            outs.append(self._output(out.get(f"out{i}"), about, i, batch, args, bool(header.get("autocast"))))
            for name, before in batch.items():
                if not same(out.get(f"in.{name}{i}", before), before):
                    raise Failed(
                        f"{self.name} changes its input `{name}` in place, and whoever called it still needs it: with "
                        f"{self.example}, {name} must be the same after the call (no +=, no mul_, no inplace=True)"
                    )
        return outs

    def _output(self, x: Tensor | None, about: dict, i: int, batch: Batch, args: tuple, autocast: bool) -> Tensor:
        shapes = ", ".join(f"{k} {tuple(v.shape)}" for k, v in batch.items())
        where = f"{self.name}({', '.join(map(str, args))}) on {shapes}"
        if x is None:
            kinds = about.get("kinds")
            kind = str(kinds[i])[:40] if isinstance(kinds, list) and i < len(kinds) else "nothing"
            kind = "nothing (is the return missing?)" if kind == "NoneType" else f"a {kind}, not a tensor"
            raise Failed(f"{where} returns {kind}")
        if tuple(x.shape) != self.shape(batch, args):
            raise Failed(f"{where} returns shape {tuple(x.shape)} where {self.shape(batch, args)} is asked for")
        if x.dtype != torch.float32 and not (autocast and x.dtype == torch.bfloat16):
            raise Failed(f"{where} returns {x.dtype} for float32 inputs")
        return x

    def finite(self, probe: Probe, rng: Generator, *batches: Batch, **more: Any) -> list[Tensor]:
        return [finite(x, f"{self.name}'s output") for x in self.ask(probe, rng, *batches, **more)]


def spell(*batches: Batch) -> tuple[Batch, list[dict]]:
    """The tensors of several calls under one name each, and the calls; a mask is passed by its name."""
    sent = {f"{k}{i}": v for i, b in enumerate(batches) for k, v in b.items()}
    calls = [
        {"args": [f"{k}{i}" for k in b if k != "mask"], "kwargs": {k: f"{k}{i}" for k in b if k == "mask"}}
        for i, b in enumerate(batches)
    ]
    return sent, calls


def mixed(a: Batch, b: Batch, keep: Tensor) -> Batch:
    """a's samples where `keep` (B,), b's elsewhere."""
    return {k: torch.where(keep.view(-1, *[1] * (v.dim() - 1)), v, b[k]) for k, v in a.items()}
