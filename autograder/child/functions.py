"""One question for every answer that is a plain function of tensors and numbers: call it, and report what happened."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Reply = tuple[dict[str, Any], dict[str, Tensor]]


def argument(spec: dict[str, Any], x: dict[str, Tensor]) -> Any:
    """An argument as the parent describes it: a plain value, a tensor, a dict of tensors, or a seeded generator."""
    if "tensor" in spec:
        return x[spec["tensor"]]
    if "tensors" in spec:
        return {key: x[name] for key, name in spec["tensors"].items()}
    if "generator" in spec:
        return torch.Generator().manual_seed(spec["generator"])
    return spec["value"]


def describe(out: Any, device: str) -> dict[str, Any]:
    """What the parent cannot see in the data that come back."""
    if not isinstance(out, Tensor):
        return {"kind": type(out).__name__}
    return {"kind": "Tensor", "device": out.device.type, "shape": list(out.shape), "grad": out.requires_grad}


def call(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """Call the function `name` with `args` and `kwargs`, `repeat` times with the same generators going on.

    Returns `out` (stacked where repeated), the inputs as they are afterwards, and whether the function drew from the
    global random stream or gave its input back. On `device` "meta", where tensors have a place but no values, nothing
    but the description comes back: a tensor made on the CPU does not mix with those.
    """
    device = header.get("device", "cpu")
    x = {k: v.to(device) for k, v in x.items()}
    args = [argument(a, x) for a in header["args"]]
    kwargs = {k: argument(a, x) for k, a in header["kwargs"].items()}
    torch.manual_seed(header["seed"])
    before = torch.get_rng_state()
    outs = [answers[header["name"]](*args, **kwargs) for _ in range(header.get("repeat", 1))]
    about = describe(outs[0], device) | {"drew": not torch.equal(before, torch.get_rng_state())}
    if not all(isinstance(out, Tensor) for out in outs) or device == "meta" or outs[0].device.type != "cpu":
        return about, {}
    storage = outs[0].untyped_storage().data_ptr()
    about["shares"] = [k for k, v in x.items() if v.numel() and v.untyped_storage().data_ptr() == storage]
    out = torch.stack(outs) if "repeat" in header else outs[0]
    return about, {"out": out, **{f"in.{k}": v for k, v in x.items()}}
