"""Questions for answers that follow a velocity field: an exact one, built here from what the parent drew.

It carries images whose pixels are normally distributed around `field.mean` with the standard deviations `field.width`
to pure noise, on the straight path. Where and when the answer evaluated the velocity is returned with the result.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from autograder.child import functions
from autograder.child.functions import Reply

SHOWN = 8  # calls kept


class Field:
    """field(x, t) -> dx/dt, x (B, C, H, W), t a 0-d tensor; it rejects inputs that do not fit."""

    def __init__(self, mean: Tensor, width: Tensor):
        self.mean, self.width = mean, width
        self.calls = 0
        self.points: list[Tensor] = []
        self.moments: list[float] = []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or x.shape[1:] != self.mean.shape:
            wanted, got = ", ".join(map(str, self.mean.shape)), getattr(x, "shape", type(x).__name__)
            raise ValueError(f"the field expects points of shape (B, {wanted}), but got {got}")
        if isinstance(t, Tensor) and t.dim():
            raise ValueError(f"the field expects one time, a 0-d tensor, but got t of shape {tuple(t.shape)}")
        self.calls += 1
        if len(self.points) < SHOWN:
            self.points.append(x.detach().clone())
            self.moments.append(float(t))
        mean, variance = self.mean.to(x.dtype), self.width.to(x.dtype) ** 2
        slope = (t - (1 - t) * variance) / ((1 - t) ** 2 * variance + t**2)
        return slope * (x - (1 - t) * mean) - mean


def call(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """functions.call, with a field among the arguments; also returns the number of its calls, and the first points and
    times (`point0`, `point1`, …, `moments`)."""
    field = Field(x["field.mean"], x["field.width"])
    about, out = functions.call(answers, header, x, {"field": field})
    about["calls"] = field.calls
    if out and field.calls:
        out |= {f"point{i}": p for i, p in enumerate(field.points)}
        out["moments"] = torch.tensor(field.moments, dtype=torch.float64)
    return about, out


def walk(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """From `start` along `times`, one step of the answer `name` after the other -> out."""
    field, out = Field(x["field.mean"], x["field.width"]), x["start"]
    for t, t_next in pairwise(x["times"]):
        out = answers[header["name"]](field, out, t, t_next)
    return {"kind": type(out).__name__}, {"out": out} if isinstance(out, Tensor) else {}
