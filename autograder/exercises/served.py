"""The model that an answer calls, in the grader's own process: it answers the child's requests and keeps them.

So an answer cannot read the model's tables, and a check knows what the model was really asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from autograder.child.protocol import Message, Tensors
from autograder.sandbox.limits import Failure

MOST_CALLS = 10_000  # in one request; image by image, corrected once, in 160 steps, a right answer needs 5,000
MOST_NUMBERS = 1 << 24  # in all their arguments; 160 steps with 16 images of 192 pixels have half a million


@dataclass
class Served:
    """A model for one request to a child. `model` takes tensors by name; it raises an exception if they do not fit."""

    model: Callable[..., Tensors]
    besides: Tensors = field(default_factory=dict)  # what the child needs to build its end of it
    asked: list[Tensors] = field(default_factory=list)  # the arguments of each call, except of refused ones
    calls: int = 0
    numbers: int = 0

    def __call__(self, given: Tensors) -> Message:
        """Return the answer to send. Failure if there are more calls than any answer needs."""
        self.calls += 1
        self.numbers += sum(x.numel() for x in given.values())
        if self.calls > MOST_CALLS or self.numbers > MOST_NUMBERS:
            raise Failure("timeout", f"The answer calls its model more than {MOST_CALLS:,} times, or with huge inputs.")
        try:
            out = self.model(**given)
        except Exception as error:  # the arguments are the answer's, and so is whatever they cause
            return {"refused": {"kind": type(error).__name__, "text": str(error)[:300]}}, {}
        self.asked.append(given)
        return {}, out

    def again(self) -> "Served":
        """Return the same model, never asked."""
        return Served(self.model, self.besides)

    def record(self) -> Tensors:
        """Return all arguments of all calls, each under a name of its own."""
        return {f"{name} of call {i}": x for i, given in enumerate(self.asked) for name, x in given.items()}


def images(what: str, x: Tensor, shape: tuple[int, ...]) -> None:
    """ValueError if x is not a batch of images of this shape."""
    if tuple(x.shape[1:]) != shape or not len(x):
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{what} expects images of shape (B, {wanted}), but got x of shape {tuple(x.shape)}")


def whole(what: str, name: str, given: Tensor, count: int, end: int) -> Tensor:
    """Return `count` whole numbers below `end`, as int64; an exception if they are anything else."""
    got = tuple(given.shape)
    if got != (count,):
        raise ValueError(f"{what} expects one of {name} for each image, shape ({count},), but got {got}")
    if given.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"{what} expects whole numbers for {name}, but got {given.dtype}")
    if wrong := [v for v in given.tolist() if not 0 <= v < end]:
        raise IndexError(f"{what} takes {name} from 0 to {end - 1}, but got {wrong[0]}")
    return given.long()


def firsts(asked: list[Tensors], name: str) -> list[Any]:
    """The first number of this argument in every call."""
    return [given[name].flatten()[0].item() for given in asked]
