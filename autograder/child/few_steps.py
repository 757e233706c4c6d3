"""Operations for the few-steps tracks: the answer is a generator that requests evaluations of the parent's network.

The generator stays in this process between its requests, and the parent counts them.
"""

from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import Tensor

from autograder.child.functions import Reply
from ddpm_core.schedule import DiffusionSchedule

RUNNING: list[Generator] = []  # the one generator in progress
OUTSIDE = 10**6  # timesteps beyond this are sent as this one, which the parent refuses as well


def setup() -> dict[str, Any]:
    """Return what the notebook's set-up cell imports."""
    return {"DiffusionSchedule": DiffusionSchedule}


def begin(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """Make the generator from `noise` (B, C, H, W) and `y` (B,), and run it to its first request or its end."""
    RUNNING.clear()
    torch.manual_seed(0)
    made = answers["few_steps"](x["noise"], x["y"], header["evaluations"])
    if not isinstance(made, Generator):
        return {"kind": type(made).__name__, "generates": False}, {}
    RUNNING.append(made)
    return advance(lambda: next(made))


def go_on(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """Send the network's `x0` and `eps`, each (B, C, H, W), and run on to the next request or the end."""
    return advance(lambda: RUNNING[0].send((x["x0"], x["eps"])))


def advance(step: Callable[[], Any]) -> Reply:
    """Return what comes next: a request (`x`, `t`), the `images`, or the type of anything else."""
    try:
        asked = step()
    except StopIteration as end:
        about = {"kind": type(end.value).__name__, "asks": False}
        return about, {"images": end.value} if isinstance(end.value, Tensor) else {}
    about = {"kind": type(asked).__name__, "asks": True}
    if not isinstance(asked, tuple | list) or len(asked) != 2 or not isinstance(asked[0], Tensor):
        return about, {}
    t = whole(asked[1])
    return about, {"x": asked[0]} | ({} if t is None else {"t": torch.tensor(t)})


def whole(t: Any) -> int | None:
    """Return a timestep, given as an int or a tensor holding one, as an int; None for anything else."""
    if isinstance(t, Tensor) and t.numel() == 1 and not (t.is_floating_point() or t.is_complex()):
        t = t.item()
    return max(-OUTSIDE, min(t, OUTSIDE)) if type(t) is int else None
