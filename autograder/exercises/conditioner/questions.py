"""The questions that the conditioner exercise asks of an answer: about each half alone, and plugged into a network.

Each operation takes (answers, header, tensors) and returns (header, tensors). `answers` is the namespace of the
answer cells; it also keeps the conditioners. `elsewhere` treats inputs and weights as if on a GPU. The network itself
is the parent's (autograder/gate/remote_modules.py).
"""

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from autograder.child.fake_device import FakeDevice
from autograder.child.perturb import perturb
from ddpm_core.layers import AdaLNBlock, CrossAttentionLayer

Reply = tuple[dict[str, Any], dict[str, Tensor]]
PREPARE, FORWARD = "prepare_conditioning", "ClassConditioner's forward"  # as named in messages
MOVED = 0.1  # how far parameters are moved
MOST = 16_000_000  # values in all conditioners: 64 MB, the most a message can hold; the budgets are far below


def setup() -> dict[str, Any]:
    """What the notebook's set-up cell imports besides torch, nn, F and math."""
    return {"CrossAttentionLayer": CrossAttentionLayer, "AdaLNBlock": AdaLNBlock}


def returned(out: Any, of: str) -> Tensor:
    """What the function `of` returned, if it is a tensor; otherwise TypeError names what it is."""
    if not isinstance(out, Tensor):
        kind = "nothing (is the return missing?)" if out is None else f"a {type(out).__name__}, not a tensor"
        raise TypeError(f"{of} returns {kind}")
    return out


def prepare(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    time_emb, class_emb = x["time_emb"], x["class_emb"]
    place = FakeDevice([time_emb, class_emb])
    with place if header.get("elsewhere") else contextlib.nullcontext():
        out = returned(answers["prepare_conditioning"](time_emb, class_emb), PREPARE)
    return {"elsewhere": place.holds(out)}, {"out": out, "time_emb": time_emb, "class_emb": class_emb}


def conditioner(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    h, class_emb = x["h"], x["class_emb"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(header["seed"])
        module = answers["ClassConditioner"](h.shape[1], class_emb.shape[1])
    perturb(module, header["seed"], header.get("moved", MOVED))
    place = FakeDevice([h, class_emb, *module.parameters(), *module.buffers()])
    with torch.no_grad(), place if header.get("elsewhere") else contextlib.nullcontext():
        out = returned(module.eval()(h, class_emb), FORWARD)
    return {"elsewhere": place.holds(out)}, {"out": out, "h": h, "class_emb": class_emb}


def build(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """A conditioner for each of `shapes`, created from this state of the random stream, and their weights.

    `weights` names the weights of each: w for parameters, f for frozen ones, b for buffers, and a number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(x["rng"])
        blocks = [answers["ClassConditioner"](*shape) for shape in header["shapes"]]
    if wrong := [b for b in blocks if not isinstance(b, nn.Module)]:
        raise TypeError(
            f"ClassConditioner must be a subclass of nn.Module, but this one makes a {type(wrong[0]).__name__}"
        )
    names: dict[int, str] = {}  # by identity: several blocks may share a weight
    values: dict[str, Tensor] = {}
    for value in (v for block in blocks for v in (*block.parameters(), *block.buffers())):
        kind = ("w" if value.requires_grad else "f") if isinstance(value, nn.Parameter) else "b"
        values[names.setdefault(id(value), f"{kind}{len(names)}")] = value
    if (size := sum(v.numel() for v in values.values())) > MOST:
        raise ValueError(
            f"the network's ClassConditioners hold {size:,} values, far beyond any budget; make ClassConditioner "
            "smaller"
        )
    own = [[names[id(v)] for v in (*block.parameters(), *block.buffers())] for block in blocks]
    answers["__blocks__"], answers["__own__"], answers["__open__"] = blocks, own, {}
    return {"weights": own}, values


def plug(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """One half of the pair within the parent's network: the function for `slot` "prepare", else a conditioner.

    It gets any weights that are sent. In training, its buffers are returned. With `grad`, `pull` can ask for gradients.
    """
    slot, grad = header["slot"], header["grad"]
    inputs, weights = {k: x[k].requires_grad_(grad) for k in ("h", "class_emb")}, {}
    if slot == "prepare":
        function = answers["prepare_conditioning"]
    else:
        function = answers["__blocks__"][slot].train(header["training"])
        weights = dict(zip(answers["__own__"][slot], (*function.parameters(), *function.buffers())))
    for name in weights.keys() & x.keys():
        weights[name].data.copy_(x[name])  # outside the graph: a shared weight is set repeatedly
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16, enabled=header["autocast"]):
        out = returned(function(*inputs.values()), PREPARE if slot == "prepare" else FORWARD)
    answers["__open__"][slot] = out, inputs | weights
    buffers = {name: value for name, value in weights.items() if name[0] == "b" and header["training"]}
    return {}, {"out": out, **buffers}


def pull(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The gradients of what `plug` last computed for this slot, given that of its output."""
    out, given = answers["__open__"].pop(header["slot"])
    given = {name: value for name, value in given.items() if value.requires_grad}
    if not out.requires_grad:
        return {}, {}
    grads = torch.autograd.grad(out, list(given.values()), x["grad"], allow_unused=True)
    return {}, {name: grad for name, grad in zip(given, grads) if grad is not None}
