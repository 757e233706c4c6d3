"""Operations on an answer that is a module: build it, move its parameters, call it.

Each takes (answers, header, tensors) and returns (header, tensors). The header holds the name of the class (`name`),
its constructor's `args` and `kwargs`, the `seed` of its initial weights, and what is done to these (`weights`).
"""

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from autograder.child.fake_device import FakeDevice
from autograder.child.patching import Convolutions, but_the_last
from autograder.child.perturb import count, reached

Reply = tuple[dict[str, Any], dict[str, Tensor]]
MOVED = 0.1  # how far each parameter is moved, give or take half


def build(answers: dict[str, Any], header: dict[str, Any]) -> nn.Module:
    """Return the answer's module in eval mode. Its weights depend only on the seed.

    `weights` is one of
    - "fresh": as built;
    - "perturbed": moved, as after some training, since a fresh module need not react yet (zero-initialised outputs are
      right);
    - "awake": fresh, but parameters that are all zero are moved as far as torch would initialise them, or `by` times
      as far if the header has that;
    - "drawn": as "awake", and every other matrix is drawn as torch would, whatever the answer's own initialisation;
    - "zero": all set to zero.

    With `unbiased`, biases are set to zero. No parameter is moved by almost nothing, as happens with a normal draw,
    since a single gate may decide what the whole module shows. TypeError if the answer is not an nn.Module.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(header["seed"])
        module = answers[header["name"]](*header["args"], **header.get("kwargs", {}))
    if not isinstance(module, nn.Module):
        raise TypeError(f"{header['name']} must be a subclass of nn.Module, this one makes a {type(module).__name__}")
    rng = torch.Generator().manual_seed(header["seed"])
    with torch.no_grad():
        for name, p in module.named_parameters():
            if header.get("unbiased") and name.endswith("bias"):
                p.zero_()
            elif header["weights"] == "drawn" and p.dim() == 2 and p.is_floating_point() and p.any():
                bound = min(p.shape) ** -0.5  # of a layer from few to many features, whichever way round it is stored
                p.copy_(bound * (2 * torch.rand(p.shape, generator=rng) - 1))
            elif header["weights"] == "perturbed" or (header["weights"] in ("awake", "drawn") and not p.any()):
                usual = header.get("by", 1.0) * max(p.shape[-1:], default=1) ** -0.5
                moved = MOVED if header["weights"] == "perturbed" else usual
                sign = torch.randint(2, p.shape, generator=rng) * 2 - 1
                p.add_((moved * sign * (0.5 + torch.rand(p.shape, generator=rng))).to(p.dtype))
            elif header["weights"] == "zero":
                p.zero_()
    return module.eval()


def called(module: nn.Module, given: dict[str, Any], x: dict[str, Tensor]) -> Any:
    return module(*(x[n] for n in given["args"]), **{k: x[n] for k, n in given["kwargs"].items()})


def forward(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """Call one module once for each of `calls` ({"args": names of tensors, "kwargs": …}) -> out0, out1, …

    Also returns the inputs as they are afterwards, and the results' types. `training` uses training mode, with the same
    random numbers for every call; `autocast` uses bfloat16; `elsewhere` treats module and inputs as if on a GPU.
    """
    module = build(answers, header).train(header.get("training", False))
    place = FakeDevice([*x.values(), *module.parameters(), *module.buffers()])
    outs: list[Any] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.autocast("cpu", torch.bfloat16, enabled=header.get("autocast", False)))
        if header.get("elsewhere"):
            stack.enter_context(place)
        for given in header["calls"]:
            if header.get("training"):
                torch.manual_seed(header["seed"])
            outs.append(called(module, given, x))
    about = {"kinds": [type(out).__name__ for out in outs], "elsewhere": all(place.holds(out) for out in outs)}
    tensors = {f"out{i}": out for i, out in enumerate(outs) if isinstance(out, Tensor)}
    return about, tensors | {f"in.{k}": v for k, v in x.items()}


def behind(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """Make two calls, out0 and out1, and repeat the second as out2 with convolutions held at the first call's outputs.

    Held are all that differed between the two calls except the last, so what still differs arises behind them.
    """
    module, outs = build(answers, header), []
    with torch.no_grad():
        runs = [Convolutions() for _ in header["calls"]]
        for given, run in zip(header["calls"], runs):
            with run:
                outs.append(called(module, given, x))
        with Convolutions(held=but_the_last(*(run.given for run in runs))):
            outs.append(called(module, header["calls"][1], x))
    return {}, {f"out{i}": out for i, out in enumerate(outs) if isinstance(out, Tensor)}


def gradient(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """Return the gradients of one call's output, projected onto `weights`, for the inputs named in `of`.

    The header says how many parameters, counted by row, get a non-zero gradient, and whether all gradients are finite.
    """
    module = build(answers, header).train()
    torch.manual_seed(header["seed"])
    for name in header["of"]:
        x[name].requires_grad_()
    out = called(module, header["calls"][0], x)
    if isinstance(out, Tensor) and out.requires_grad:
        (out * x["weights"]).sum().backward()
    grads = {n: torch.zeros_like(x[n]) if x[n].grad is None else x[n].grad for n in header["of"]}
    return reached(module, by_row=True), grads


def parameters(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    return {"parameters": count(build(answers, header))}, {}
