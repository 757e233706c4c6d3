"""Records a network's forward pass as data: the operations that torch itself carried out, in order.

A recording can be trained by a process that runs none of the answer's code (replay.py), so no answer ever sees the
images that its network learns from. It is JSON:

    nodes   [operation, its arguments, keywords, the names of its results, whether gradients were on]
    out     the name of the output

A tensor is written ["tensor", name]. The inputs are `x` and `t`. w0, w1, … are parameters, f… frozen parameters, b…
buffers and c… other tensors that the network held; results are numbered. The tensors sent along have the same names.
"""

import json
import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autograder.child.perturb import perturb
from autograder.child.replay import Network, operation

Batch = tuple[Tensor, Tensor]  # x (B, C, H, W) and t (B,)
Forward = Callable[[Tensor, Tensor], Tensor]
TRIES = 3  # comparisons: a single one could miss an `if` on a random number
MOST = 15_000_000  # numbers in all weights: 60 MB, as much as a message holds; the budgets are far below
MOVED = 0.05  # how far parameters are moved before the comparison: gates that start at zero hide what follows
SAME, TINY = 1e-3, 1e-9  # allowed difference, relative to the norm and absolute: rounding is a hundred times smaller


def names_of(model: nn.Module) -> dict[str, Tensor]:
    """Return all weights by name: w (parameter), f (parameter that does not learn) or b (buffer), and a number."""
    found: dict[str, Tensor] = {}
    for value in (*model.parameters(), *model.buffers()):
        learns = value.requires_grad and value.is_floating_point()
        kind = ("w" if learns else "f") if isinstance(value, nn.Parameter) else "b"
        found[f"{kind}{len(found)}"] = value
    return found


class Recorder(TorchDispatchMode):
    """A mode that records every operation. It recognises a tensor by the mark that it left on it."""

    def __init__(self, given: dict[str, Tensor]):
        super().__init__()
        self.mark = secrets.token_hex(8)  # identifies this recorder: another one in this process uses other names
        self.nodes: list[list] = []
        self.constants: dict[str, Tensor] = {}
        self.count = 0
        self.kept = list(given.values())  # a mark is lost if its tensor is freed
        for name, value in given.items():
            value._recorded = self.mark, name

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        given = [self.written(value) for value in args], {name: self.written(v) for name, v in kwargs.items()}
        out = func(*args, **kwargs)
        results = [o for o in tree_leaves(out) if isinstance(o, Tensor)]
        if results:  # what returns no tensor, such as .item(), leaves no trace; `record` finds out if it matters
            names = [self.name_of(o) if isinstance(o, Tensor) else None for o in tree_leaves(out)]
            self.nodes.append([func, *given, names, torch.is_grad_enabled()])
        return out

    def name_of(self, result: Tensor) -> int | str:
        """Return the name of a result. An in-place operation returns a tensor that already has one."""
        mark, name = getattr(result, "_recorded", (None, None))
        if mark != self.mark:
            name, self.count = self.count, self.count + 1
            result._recorded = self.mark, name
        return name

    def written(self, value: Any) -> Any:
        """Return an argument as JSON; TypeError if it cannot be recorded."""
        if isinstance(value, Tensor):
            mark, name = getattr(value, "_recorded", (None, None))
            if mark != self.mark:
                name = f"c{len(self.constants)}"
                self.constants[name] = value.detach().clone()
                self.kept.append(value)
                value._recorded = self.mark, name
            return ["tensor", name]
        if isinstance(value, list | tuple):
            return ["list", [self.written(v) for v in value]]
        if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
            return [type(value).__name__, str(value).removeprefix("torch.")]
        if isinstance(value, torch.device):
            return ["device", value.type]
        if isinstance(value, float) and not math.isfinite(value):
            return ["float", str(value)]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"the network passes a {type(value).__name__} to torch, which the gate cannot record")


def record(model: nn.Module, forward: Forward, first: Batch, other: Batch, seed: int) -> dict[str, Tensor]:
    """Record forward(x, t) in the model's present mode: `recording`, as bytes, and the tensors that it names.

    It is made on one batch, and ValueError is raised unless it computes the same as the model on the `other` one.
    """
    forward(*copies(first))  # so that what is made at the first call, such as a table of sines, exists already
    weights, before = names_of(model), {n: b.clone() for n, b in model.named_buffers() if b.is_floating_point()}
    if (size := sum(value.numel() for value in weights.values())) > MOST:
        raise ValueError(f"the network holds {size:,} numbers, far beyond any budget; make it smaller")
    recorder = Recorder({"x": first[0], "t": first[1], **weights})
    with plain_kernels(), recorder:
        _, out = recorder.written(forward(*first))
    for name, now in model.named_buffers():
        if name in before and not torch.equal(now, before[name]):
            raise ValueError(
                f"the network changes its buffer `{name[:60]}` in training; in the gate buffers stay as built: "
                "keep what is learnt in parameters, and use no running averages such as a batch norm's"
            )
    nodes = [[str(func), *rest] for func, *rest in living(recorder.nodes, out)]
    for op in dict.fromkeys(node[0] for node in nodes):
        operation(op)
    kept = {name: value.detach().clone() for name, value in weights.items()} | recorder.constants
    perturb(model, seed, MOVED)
    moved = {name: value.detach().clone() for name, value in names_of(model).items()} | recorder.constants
    # A function with a custom gradient runs, and is recorded, with gradients off. So the second try turns all of them
    # on: torch's own gradient is the same if the custom one is right.
    for written in (nodes, [[*node[:-1], True] for node in nodes]):
        text = json.dumps({"nodes": written, "out": out}, allow_nan=False).encode()
        program = {"recording": torch.frombuffer(bytearray(text), dtype=torch.uint8)}
        if all(agree(model, forward, Network(program | moved), other, seed + i) for i in range(TRIES)):
            return program | kept
    raise ValueError(
        "the gate trains the operations of one forward pass, but on another batch these give a different result: the "
        "network computes with values outside torch (.item(), .tolist(), .numpy(), an `if` on a tensor), at random in "
        "Python, or with gradients of its own; use tensor arithmetic, such as torch.where"
    )


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Turn off oneDNN, whose recurrent layers are a single operation with a memory of its own."""
    before, torch.backends.mkldnn.enabled = torch.backends.mkldnn.enabled, False
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def copies(batch: Batch) -> Batch:
    return batch[0].clone(), batch[1].clone()


def living(nodes: list[list], out: int | str) -> list[list]:
    """Return the nodes that matter for the output. Autograd's own operations, a third of all, do not."""
    needed, kept = {out}, []
    for node in reversed(nodes):
        func, args, kwargs, results, _ = node
        more = torch.Tag.nondeterministic_seeded in func.tags or func._schema.is_mutable  # it has a side effect
        if more or not needed.isdisjoint(results):
            kept.append(node)
            needed |= names_in([*args, *kwargs.values()])
    return kept[::-1]


def names_in(written: Any) -> set[int | str]:
    """Return the names of all tensors in written arguments."""
    if not isinstance(written, list):
        return set()
    return {written[1]} if written[:1] == ["tensor"] else set().union(*map(names_in, written))


def agree(model: nn.Module, forward: Forward, network: Network, batch: Batch, seed: int) -> bool:
    """Whether a recording computes what the model computes, with the same gradients."""
    outs, grads = [], []
    for run, weights in ((forward, names_of(model)), (network, dict(network.named_parameters()))):
        learning = [value for name, value in weights.items() if name[0] == "w"]
        torch.manual_seed(seed)
        out = run(*copies(batch))
        outs.append(out.detach().double().flatten())
        if out.requires_grad:
            out.cos().sum().backward()
            found = (torch.zeros_like(w) if w.grad is None else w.grad for w in learning)
            grads.append(torch.cat([g.flatten().to(torch.complex128) for g in found]))
        for weight in learning:
            weight.grad = None
    return len(grads) != 1 and all(close(*pair) for pair in (outs, grads) if pair)


def close(a: Tensor, b: Tensor) -> bool:
    a, b = a.nan_to_num(), b.nan_to_num()
    return bool((a - b).norm() <= SAME * a.norm() + TINY)
