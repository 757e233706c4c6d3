"""Questions for answers that follow a velocity field. The field itself is the parent's (asking.py)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from autograder.child import functions
from autograder.child.functions import Reply
from autograder.child.remote import Evaluate, Remote

Field = Callable[[Tensor, Tensor], Tensor]


def field_of(evaluate: Evaluate, weight: Tensor) -> Field:
    """Return field(x, t) -> dx/dt, x (B, C, H, W), t a 0-d tensor or a number."""
    remote = Remote(evaluate, weight)

    def field(x: Tensor, t: Tensor) -> Tensor:
        return remote(x=x, t=torch.tensor(t, dtype=torch.float64) if isinstance(t, float | int) else t)["v"]

    return field


def call(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor], evaluate: Evaluate) -> Reply:
    """functions.call, with a field among the arguments."""
    return functions.call(answers, header, x, {"field": field_of(evaluate, x["field.weight"])})


def walk(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor], evaluate: Evaluate) -> Reply:
    """From `start` along `times`, one step of the answer `name` after the other -> out."""
    field, out = field_of(evaluate, x["field.weight"]), x["start"]
    for t, t_next in pairwise(x["times"]):
        out = answers[header["name"]](field, out, t, t_next)
    return {"kind": type(out).__name__}, {"out": out} if isinstance(out, Tensor) else {}
