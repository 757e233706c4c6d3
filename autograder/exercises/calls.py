"""Asking an answer that is a function: the call as the parent writes it, and the properties every call must have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from autograder.exercises.base import AnswerError, Failed, Probe, finite, returned, sizes
from autograder.exercises.served import Served

PLACES = re.compile(r"same device|CUDA|cuda")


@dataclass(frozen=True)
class Seeded:
    """A torch.Generator with this seed, created in the child."""

    seed: int


@dataclass(frozen=True)
class Thing:
    """An argument that the child builds from `Served.besides`: a schedule, or what calls the served model."""

    name: str


@dataclass(frozen=True)
class Returned:
    """What a call returned: `out` is None if it was not a tensor."""

    name: str
    out: Tensor | None
    given: dict[str, Tensor]
    after: dict[str, Tensor]
    about: dict[str, Any]
    asked: Sequence[dict[str, Tensor]] = ()  # the arguments of every call of the served model

    def tensor(self, shape: tuple[int, ...] | None = None, dtype: torch.dtype | None = None) -> Tensor:
        """The result, if it is a tensor of this shape and dtype; otherwise Failed names what it is.

        Without a dtype it comes in float64: two results may have different dtypes, or one torch cannot compute with.
        """
        if self.out is None:
            raise Failed(f"{self.name} returns {returned(self.about)} instead of a tensor")
        if shape is not None and tuple(self.out.shape) != shape:
            raise Failed(f"{self.name} returns shape {sizes(self.out)}, but this input should give {shape}")
        if dtype is not None and self.out.dtype != dtype:
            raise Failed(f"{self.name} returns {self.out.dtype}, but {dtype} is expected")
        if self.out.dtype == torch.bool and dtype is None:
            raise Failed(f"{self.name} returns torch.bool instead of numbers")
        return self.out.double() if dtype is None else self.out

    @property
    def dtype(self) -> torch.dtype | None:
        """The result's dtype; None if it was not a tensor."""
        return None if self.out is None else self.out.dtype

    def unchanged(self) -> Returned:
        """Failed if an input was changed in place."""
        for name, before in self.given.items():
            if name in self.after and not same(self.after[name], before):
                besides = "only read it, since the next call needs it unchanged"  # model.table, for one
                remedy = besides if "." in name else "return a new tensor (no +=, no add_)"
                raise Failed(f"{self.name} changes its input `{name}` in place: {remedy}")
        return self


def same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.nan_to_num(), b.nan_to_num())


def seed_of(rng: Generator) -> int:
    return int(torch.randint(2**31, (), generator=rng))


def call(
    probe: Probe,
    name: str,
    *args: Any,
    rename: tuple[str, ...] = (),
    elsewhere: bool = False,
    repeat: int | None = None,
    seed: int = 0,
    served: Served | None = None,
    **kwargs: Any,
) -> Returned:
    """name(*args, **kwargs) in the child. `rename` gives the tensors in args their names for messages.

    `elsewhere`: the inputs pretend to be on a GPU (autograder/child/fake_device.py). `served`: the model that the
    answer can call; it is evaluated here.
    """
    given: dict[str, Tensor] = {**served.besides} if served else {}

    def spec(value: Any, label: str) -> dict[str, Any]:
        if isinstance(value, Tensor):
            given[label] = value
            return {"tensor": label}
        if isinstance(value, dict):
            given.update({f"{label}[{k!r}]": v for k, v in value.items()})
            return {"tensors": {k: f"{label}[{k!r}]" for k in value}}
        if isinstance(value, (Thing, tuple)):
            return {"thing": value.name} if isinstance(value, Thing) else {"tuple": value}
        return {"generator": value.seed} if isinstance(value, Seeded) else {"value": value}

    labels = [*rename, *(f"argument {i + 1}" for i in range(len(rename), len(args)))]
    header: dict[str, Any] = {"name": name, "elsewhere": elsewhere, "seed": seed}
    header["args"] = [spec(a, label) for a, label in zip(args, labels)]
    header["kwargs"] = {k: spec(v, k) for k, v in kwargs.items()}
    if repeat is not None:
        header["repeat"] = repeat
    about, out = probe.both("call", given, served, **header)
    after = {k.removeprefix("in."): v for k, v in out.items() if k != "out"}
    return Returned(name, out.get("out"), given, after, about, served.asked if served else ())


def keeps_device(probe: Probe, name: str, *args: Any, **kwargs: Any) -> None:
    """Failed if the function mixes its inputs with tensors created on the CPU, or returns one of those."""
    try:
        about = call(probe, name, *args, elsewhere=True, **kwargs).about
    except AnswerError as e:
        if PLACES.search(e.text):
            raise Failed(f"{name} fails when its inputs are on a GPU: {PLACE_HINT} ({e})") from e
        raise
    if about.get("kind") == "Tensor" and about.get("elsewhere") is not True:
        raise Failed(f"{name} returns a tensor on a different device from its inputs: {PLACE_HINT}")


PLACE_HINT = "create tensors with device=x.device, or with torch.zeros_like or torch.full_like, and do not call .cuda()"


def close(out: Tensor, expected: Tensor, property_: str, example: str, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Failed, with the property and an example, if out differs from expected; neither value is shown."""
    out = finite(out, "the result").double()
    if not torch.allclose(out, expected.double(), rtol=rtol, atol=atol):
        raise Failed(f"{property_}: {example}")


def not_by_the_batch(failed: Failed, out: Tensor, alone: list[Tensor], what: str) -> Failed:
    """Why a batch (B, ...) came out wrong. `failed` says that its images are mixed up.

    If every image comes out the same `alone`, B x (1, ...), as in the batch, they are not, and `what` is wrong.
    """
    if torch.allclose(torch.cat(alone).double(), out.double(), rtol=1e-4, atol=1e-4):
        return Failed(f"every image gets its own timestep, but {what}: fix that first, and this check should pass too")
    return failed
