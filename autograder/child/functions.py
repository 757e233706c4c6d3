"""The operation for answers that are plain functions of tensors and numbers: call one, and report what happened."""

import contextlib
from typing import Any

import torch
from torch import Tensor

from autograder.child.fake_device import FakeDevice

Reply = tuple[dict[str, Any], dict[str, Tensor]]


def argument(spec: dict[str, Any], x: dict[str, Tensor], things: dict[str, Any]) -> Any:
    """Return an argument from the parent's description: a value, tensor, dict of tensors, tuple, generator or thing."""
    if "tensor" in spec:
        return x[spec["tensor"]]
    if "tensors" in spec:
        return {key: x[name] for key, name in spec["tensors"].items()}
    if "generator" in spec:
        return torch.Generator().manual_seed(spec["generator"])
    if "thing" in spec:
        return things[spec["thing"]]
    if "tuple" in spec:
        return tuple(spec["tuple"])
    return spec["value"]


def call(
    answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor], things: dict[str, Any] | None = None
) -> Reply:
    """Call the function `name` with `args` and `kwargs`, `repeat` times without resetting its generators.

    `things` are arguments that cannot be sent, such as a model. Another module of questions makes them from tensors
    in x.

    Returns `out` (stacked if repeated), the inputs as they are afterwards, and what these do not show: the result's
    type, whether the function drew from the global random stream, which inputs share memory with the result, and, if
    the inputs count as `elsewhere`, whether the result is there too.
    """
    args = [argument(a, x, things or {}) for a in header["args"]]
    kwargs = {k: argument(a, x, things or {}) for k, a in header["kwargs"].items()}
    torch.manual_seed(header["seed"])
    before = torch.get_rng_state()
    place = FakeDevice(x.values())
    with place if header["elsewhere"] else contextlib.nullcontext():
        outs = [answers[header["name"]](*args, **kwargs) for _ in range(header.get("repeat", 1))]
    drew = not torch.equal(before, torch.get_rng_state())
    about: dict[str, Any] = {"kind": type(outs[0]).__name__, "drew": drew, "elsewhere": place.holds(outs[0])}
    if not all(isinstance(out, Tensor) for out in outs):
        return about, {}
    storage = outs[0].untyped_storage().data_ptr()
    about |= {"kind": "Tensor", "grad": outs[0].requires_grad}
    about["shares"] = [k for k, v in x.items() if v.numel() and v.untyped_storage().data_ptr() == storage]
    out = torch.stack(outs) if "repeat" in header else outs[0]
    return about, {"out": out, **{f"in.{k}": v for k, v in x.items()}}
