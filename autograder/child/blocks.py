"""The questions that are asked of an answer that is a module: build it, move its parameters, call it.

Each operation takes (answers, header, tensors) and returns (header, tensors). The header names the class (`name`), its
constructor's `args` and `kwargs`, the `seed` of its initial weights, and what becomes of these (`weights`).
"""

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from autograder.child.fake_device import FakeDevice
from autograder.child.patching import Convolutions, but_the_last
from autograder.child.perturb import count, reached

Reply = tuple[dict[str, Any], dict[str, Tensor]]
MOVED = 0.1  # how far each parameter is moved, half of it more or less


def build(answers: dict[str, Any], header: dict[str, Any]) -> nn.Module:
    """The answer's module in eval mode; its weights depend on the seed alone.

    `weights`: "fresh"; "perturbed", as after some training, since a fresh module need not react yet (zero-initialised
    outputs are right); "awake", fresh, with only what is zero moved, as far as torch would start it; or "zero", all of
    them. `awake` moves by `by` times as much where the header has that, and `unbiased` leaves no biases. No parameter
    is moved by almost nothing, as a normal draw would now and then: a single gate may decide what the whole module
    shows.
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
            elif header["weights"] == "perturbed" or (header["weights"] == "awake" and not p.any()):
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
    """One module, called once for each of `calls` ({"args": names of tensors, "kwargs": …}) -> out0, out1, …

    Returns the inputs as they are afterwards, and the results' kinds. `training` asks in training mode, with the same
    random numbers for every call; `autocast` under bfloat16; `elsewhere` with module and inputs as if on a GPU.
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
    """Two calls, as out0 and out1; out2 is the second once more, where every convolution that differed between the two,
    but the last of them, gives what it gave in the first: what is left comes from behind them."""
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
    """Gradients of a projection of one call's output (onto `weights`): of the inputs named in `of`, and how many of the
    parameters, row by row, get one that is not zero, and whether all are finite."""
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
