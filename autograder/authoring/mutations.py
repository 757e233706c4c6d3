"""Ways to change a child's reply, or its call of a model, to fuzz the code that judges it (replay.py).

Each is a function (rng, frame, others) -> frame, where `others` are the scene's other replies.
"""

import json
import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from autograder.authoring.replay import Change, Frame
from autograder.child.protocol import DTYPES, EVALUATE, decode, pack

Mutation = Callable[[random.Random, Frame, Sequence[Frame]], Frame]
NAMES = (  # fields that some check reads, or an attacker would try
    *("kind", "kinds", "shares", "left", "devices", "weights", "parameters", "reached", "finite", "drew"),
    *("elsewhere", "grad", "error", "score", "op", "ready", EVALUATE),
)
NUMBERS = (0, 1, -1, 7, 10**6, 2**63 - 1, -(2**63), 2**64, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"))
THINGS = (
    None,
    True,
    False,
    "",
    "Tensor",
    "9",
    "x" * 400,
    "\udc80",
    [],
    [1],
    [[]],
    ["w0"] * 9,
    {},
    {"kind": 1},
    NUMBERS,
)
LARGE = 1 << 20  # numbers in a tensor that is far larger than any requested one


def opened(frame: Frame) -> tuple[dict, dict[str, Tensor]]:
    try:
        header, tensors = decode(*frame)
        return dict(header), dict(tensors)
    except Exception:  # it has been changed already
        return {}, {}


def closed(header: dict, tensors: dict[str, Tensor]) -> Frame:
    """Build a frame as an attacker would, without checking whether it may be sent."""
    return json.dumps(header).encode(), b"".join(pack(tensors)) if tensors else b""


def a_thing(rng: random.Random) -> object:
    return rng.choice((*THINGS, *NUMBERS, *NUMBERS))


def field(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    header, tensors = opened(frame)
    return closed(header | {rng.choice((*header, *header, *NAMES)): a_thing(rng)}, tensors)


def within(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    """Change one element of a list in the header."""
    header, tensors = opened(frame)
    if not (lists := [k for k, v in header.items() if isinstance(v, list) and v]):
        return field(rng, frame, others)
    name = rng.choice(lists)
    values = list(header[name])
    values[rng.randrange(len(values))] = a_thing(rng)
    return closed(header | {name: rng.choice((values, values[1:], values * 3))}, tensors)


def no_field(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    header, tensors = opened(frame)
    header.pop(rng.choice([*header, "-"]), None)
    return closed(header, tensors)


def error(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    keys = ("kind", "text", "cell", "line", "hidden")
    return closed({"error": {k: a_thing(rng) for k in keys if rng.random() < 0.8}}, {})


def of_a_tensor(change: Callable[[random.Random, Tensor], Tensor]) -> Mutation:
    """Make a mutation that changes one tensor, or several."""

    def mutation(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
        header, tensors = opened(frame)
        names = [n for n in tensors if rng.random() < 0.5] if rng.random() < 0.3 else list(tensors)[:1]
        names = names if rng.random() < 0.6 or not tensors else [rng.choice(list(tensors))]
        return closed(header, tensors | {n: change(rng, tensors[n]) for n in names})

    return mutation


def dtype(rng: random.Random, x: Tensor) -> Tensor:
    return x.to(rng.choice(list(DTYPES)))


def shape(rng: random.Random, x: Tensor) -> Tensor:
    flat = x.reshape(-1)
    one = flat[0] if len(flat) else x.new_zeros(())
    made: list[Callable[[], Tensor]] = [
        *(lambda: one, lambda: flat[:0], lambda: flat, lambda: x[None], lambda: x[..., None]),
        *(lambda: one.expand(LARGE), lambda: one.expand(*[1] * 16), lambda: one.expand(2, *x.shape)),
        *(lambda: torch.cat([flat, flat]),),
    ]
    if x.dim():
        made += [
            lambda: x[:0],
            lambda: x.transpose(0, -1),
            lambda: torch.cat([x, x]),
            lambda: x[1:],
            lambda: x[..., :1],
        ]
    return rng.choice(made)()


def values(rng: random.Random, x: Tensor) -> Tensor:
    """Replace some or all numbers of a tensor."""
    odd = rng.choice((float("nan"), float("inf"), -float("inf"), 3e38, -1e30, 1e-38, 0.0, 1.0, -1.0, 2.0**62))
    if not x.is_floating_point():
        odd = rng.choice((0, 1, -1, 127, 2**31, -(2**62)))
    share = rng.choice((0.02, 0.5, 1.1))
    where = torch.rand(x.shape, generator=torch.Generator().manual_seed(rng.getrandbits(30))) < share
    return torch.where(where, torch.full_like(x, odd if x.dtype in LONG else max(-100, min(odd, 100))), x)


LONG = (torch.float64, torch.float32, torch.bfloat16, torch.int64)


def noise(rng: random.Random, x: Tensor) -> Tensor:
    size = rng.choice((1e-6, 1e-2, 1.0, 1e4))
    drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(rng.getrandbits(30)))
    return (x.double() + size * drawn).clamp(-100, 100).to(x.dtype) if x.dtype != torch.bool else drawn > 0


def names(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    """Remove a tensor, rename it, or exchange it with another."""
    header, tensors = opened(frame)
    if not tensors:
        return closed(header, {rng.choice(("out", "out0", "grad", "losses", "w0", "")): torch.zeros(3)})
    one, other = rng.choice(list(tensors)), rng.choice(list(tensors))
    kept = {k: v for k, v in tensors.items() if k != one}
    renamed = {rng.choice(("out", "h", "in.x", "class_emb", "b7", "0.gain", "é\n", one + "0")): tensors[one]}
    swapped = tensors | {one: tensors[other], other: tensors[one]}
    return closed(header, rng.choice((kept, kept | renamed, tensors | renamed, swapped, {})))


def order(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    """Replace the reply with an earlier or a later one."""
    return rng.choice(others) if others else (b"{}", b"")


def parts(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    """Combine the header of one reply with the tensors of another."""
    return rng.choice((frame, *others))[0], rng.choice((frame, *others))[1]


def cut(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    text, blob = frame
    return text[: rng.randrange(len(text) + 1)], blob[: rng.choice((len(blob), rng.randrange(len(blob) + 1)))]


def flipped(rng: random.Random, frame: Frame, others: Sequence[Frame]) -> Frame:
    """Change single bytes."""
    both = [bytearray(part) for part in frame]
    for part in both:
        for _ in range(rng.randrange(4) if part else 0):
            part[rng.randrange(min(len(part), rng.choice((64, 1 << 30))))] = rng.randrange(256)
    return bytes(both[0]), bytes(both[1])


MUTATIONS: dict[str, Mutation] = {
    "header field": field, "element of a list": within, "missing field": no_field, "error": error,
    "dtype": of_a_tensor(dtype), "shape": of_a_tensor(shape), "values": of_a_tensor(values),
    "noise": of_a_tensor(noise), "tensor names": names, "order": order, "parts": parts, "cut": cut, "bytes": flipped,
}  # fmt: skip


def changing(rng: random.Random, mutation: Mutation, frames: Sequence[Frame], counted: list[int]) -> Change:
    """Return a change of one reply, every second one, or all from one on; `counted` collects their numbers."""
    first, how = rng.randrange(max(1, len(frames))), rng.choice(("one", "one", "every second", "from here on"))

    def change(n: int, frame: Frame) -> Frame:
        if n < first or (how == "one" and n > first) or (how == "every second" and (n - first) % 2):
            return frame
        counted.append(n)
        return mutation(rng, frame, frames)

    return change
