"""The questions that the architecture exercise asks of an answer: outputs on given inputs, gradients, a recording.

Each operation takes (answers, header, tensors) and returns (header, tensors). `answers` is the namespace of the
answer cells. When a recorded network trains or denoises, it holds no answer; it keeps the network.
"""

import contextlib
import itertools
import os
from typing import Any

import torch
from torch import Tensor, nn

from autograder.child import recording
from autograder.child.fake_device import FakeDevice
from autograder.child.perturb import count, perturb, reached
from autograder.child.replay import Network
from autograder.child.unconditional import Learner

Reply = tuple[dict[str, Any], dict[str, Tensor]]
VARIABLES = ("BLOCK_OUT_CHANNELS", "LAYERS_PER_BLOCK", "IMAGE_CHANNELS", "IMAGE_SIZE")
MODES = {  # settings of the whole process: their getters and setters
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
}


def setup() -> dict[str, Any]:
    """What the notebook's set-up cell imports besides torch, nn, F and math."""
    return {"os": os}


def build(answers: dict[str, Any], environment: dict[str, str], seed: int, device: Any = "cpu") -> nn.Module:
    """The answer's network for exactly these variables; its initial weights depend on the seed alone.

    Anything it changes for the whole process is noted in `answers` and undone, so it cannot affect other checks.
    """
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(environment)
    before = [get() for get, _ in MODES.values()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = answers["build_model"](device)
    left = answers.setdefault("__left__", [])
    for (what, (get, put)), value in zip(MODES.items(), before):
        left += [f"torch's {what}"] if get() != value else []
        put(value)
    left += [name for name in VARIABLES if os.environ.get(name) != environment.get(name)]
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"build_model must return an nn.Module, but returned {type(model).__name__}: is the return missing?"
        )
    return model


def sample_of(result: Any) -> Tensor:
    """`.sample` of what a network returned."""
    if isinstance(result, Tensor) or not isinstance(getattr(result, "sample", None), Tensor):
        raise TypeError(
            f"the network returned a {type(result).__name__}; it must return an object whose attribute `sample` is "
            "the output, such as types.SimpleNamespace(sample=x)"
        )
    return result.sample


def forward(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """A network on batches (x0, t0), (x1, t1), ... -> out0, out1, ... and the inputs as they are afterwards.

    `timestep` says how t is passed: as a tensor (B,), a 0-d tensor, or an int (both of its first value). `perturb`
    moves the parameters first. `other` builds and perturbs a second network before the first one is asked. `training`
    asks in training mode, with the same random numbers for every batch, so dropout is the same. `elsewhere` treats the
    network and its inputs as if on a GPU, which torch.device("cpu") stands for.
    """
    device = torch.device("cpu") if header.get("elsewhere") else "cpu"
    model = build(answers, header["environment"], header["seed"], device).eval()
    place = FakeDevice([*x.values(), *model.parameters(), *model.buffers()])
    perturb(model, header["seed"], header.get("perturb", 0.0))
    if header.get("other"):
        perturb(build(answers, header["environment"], header["seed"] + 1).eval(), 0, 1.0)
    model.train(header.get("training", False))
    how, outs = header.get("timestep", "tensor"), {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast("cpu", torch.bfloat16, enabled=header.get("autocast", False)))
        if header.get("elsewhere"):
            stack.enter_context(place)
        for i in range(header["batches"]):
            t = x[f"t{i}"]
            given = t if how == "tensor" else t[0] if how == "scalar" else int(t[0])
            if header.get("training"):
                torch.manual_seed(header["seed"])
            outs[f"out{i}"] = sample_of(model(x[f"x{i}"], given))
    about = {"elsewhere": all(place.holds(out) for out in outs.values())}
    return about, {**outs, **{f"in.{k}": v for k, v in x.items()}}


def gradient(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """How many parameters there are and how many get a gradient, and the gradient with respect to the input."""
    model = build(answers, header["environment"], header["seed"]).train()
    perturb(model, header["seed"], header["perturb"])
    given = x["x"].requires_grad_()
    out = sample_of(model(given, x["t"]))
    if out.requires_grad:
        (out * x["weights"]).sum().backward()
    return reached(model), {"grad": torch.zeros_like(given) if given.grad is None else given.grad}


def parameters(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The number of parameters, and what building has changed for the whole process so far."""
    model = build(answers, header["environment"], header["seed"])
    return {"parameters": count(model), "left": sorted(set(answers["__left__"]))}, {}


def work(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """Two training steps; the parent measures the time."""
    learner = Learner(build(answers, header["environment"], header["seed"]), header["train"])
    learner.learn(x, x["alphas_cumprod"], noise, lambda model, xt, t: sample_of(model(xt, t)))
    return {}, {}


def yardstick(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The same two steps of a plain stack of convolutions, against which a network's time is measured."""
    stack = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1), *[nn.Conv2d(64, 64, 3, padding=1) for _ in range(12)])
    stack.append(nn.Conv2d(64, 1, 3, padding=1))
    learner = Learner(stack, header["train"])
    learner.learn(x, x["alphas_cumprod"], noise, lambda model, xt, t: model(xt))
    return {}, {}


def noise(x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """What the networks learn."""
    return eps


def record(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The network as data, in training or eval mode, with its initial weights: all that the gate gets of an answer."""
    model = build(answers, header["environment"], header["seed"]).train(header["training"])
    first, other = ((x[f"x{i}"], x[f"t{i}"]) for i in (0, 1))
    with torch.set_grad_enabled(header["training"]):
        return {}, recording.record(model, lambda xt, t: sample_of(model(xt, t)), first, other, header["seed"])


# The rest runs in a process in which no answer is loaded.


def start_training(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    abar = x.pop("alphas_cumprod")
    answers["__run__"] = Learner(Network(x), header["train"]), abar
    return {}, {}


def training_steps(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The next steps of the training, towards the noise: (losses,). Each draws its own random numbers."""
    learner, abar = answers["__run__"]
    seeds = itertools.count(header["seed"])

    def output(model: nn.Module, xt: Tensor, t: Tensor) -> Tensor:
        torch.manual_seed(next(seeds))
        return model(xt, t)

    return {}, {"losses": learner.learn(x, abar, noise, output)}


def averaged(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The averaged weights."""
    return {}, dict(answers["__run__"][0].ema.module.named_parameters())


def start_denoising(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    answers["__run__"] = Network(x).eval()
    return {}, {}


def denoise(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """(xt, t) -> eps, in batches of the recorded size; the last batch is padded with the last image."""
    n, size = len(x["xt"]), header["size"]
    rows = torch.arange(-(-n // size) * size).clamp(max=n - 1).split(size)
    torch.manual_seed(0)
    with torch.no_grad():
        return {}, {"out": torch.cat([answers["__run__"](x["xt"][r], x["t"][r]) for r in rows])[:n]}
