"""Replies that an honest process never sends, made to bring the grader down: no score would be better than a low one.

Each takes the n-th reply, from 0, as (header, tensors), and gives what is sent in its place. It is tried in these
exercises, on answers of which the first is wrong.
"""

import torch

INTS, BIG = -(2**63), 1 << 20


def nested(depth: int) -> list:
    out: list = []
    for _ in range(depth):
        out = [out]
    return out


def every_second(change):
    return lambda n, h, x: (h, {k: change(v) for k, v in x.items()} if n % 2 else x)


def each(change):
    return lambda n, h, x: (h, {k: change(v) for k, v in x.items()})


def fields(**values):
    return lambda n, h, x: (h | values, x)


FUNCTIONS = ("guided_sampling", "interpolation", "inversion", "ode_sampler", "ddim")
MODULES = ("adagn", "cross_attention", "ema")
ATTACKS = {
    "float64 in every second reply": (every_second(torch.Tensor.double), (*FUNCTIONS, "label_dropout")),
    "booleans in every second reply": (every_second(lambda v: v != 0), (*FUNCTIONS, *MODULES)),
    "integers in every second reply": (every_second(torch.Tensor.long), (*FUNCTIONS, "schedules")),
    "booleans for everything": (each(lambda v: v != 0), ("conditioner", "adagn", "label_dropout")),
    "bfloat16 for everything": (each(torch.Tensor.bfloat16), ("conditioner", "prediction", "schedules")),
    "uint8 for everything": (each(torch.Tensor.byte), ("conditioner", "ddim", "ema")),
    "zero-dimensional tensors": (each(lambda v: v.sum()), (*FUNCTIONS, *MODULES)),
    "empty tensors": (each(lambda v: v.flatten()[:0]), (*FUNCTIONS, *MODULES)),
    "a million numbers in every tensor": (each(lambda v: torch.ones(BIG)), ("ema", "ddim", "conditioner")),
    "tensors with sixteen dimensions": (each(lambda v: v.sum().expand([1] * 16)), ("adagn", "schedules")),
    "numbers that almost overflow": (
        each(lambda v: torch.full_like(v, 100) * 3e36), ("prediction", "conditioner"),
    ),
    "tensors under each other's names": (
        lambda n, h, x: (h, dict(zip(x, reversed(list(x.values()))))),
        ("conditioner", "cross_attention", "guided_sampling"),
    ),
    "lists with invalid contents": (
        fields(kinds=[{}], left=[None, "9"], shares=[1], devices=[[]]), ("interpolation", "adagn", "label_dropout"),
    ),
    "hugely negative counts": (fields(parameters=INTS, reached=INTS), ("adagn", "architecture")),
    "a boolean for a number, and a number for a boolean": (
        fields(parameters=True, elsewhere=1, drew=0.0), ("adagn", "guided_sampling"),
    ),
    "an error nested as deeply as a message allows": (
        lambda n, h, x: ({"error": {"kind": nested(880), "text": nested(400), "cell": {"a": 1}, "line": True}}, {}),
        ("schedules", "ema"),
    ),
    "weights that do not exist": (
        lambda n, h, x: (h | {"weights": [["w0", "b1", "f2"]] * len(h.get("weights", ()))}, x), ("conditioner",),
    ),
    "trainable weights reported as frozen": (
        lambda n, h, x: (
            h | {"weights": [[f"f{w[1:]}" for w in own] for own in h.get("weights", ())]},
            {f"f{k[1:]}" if k[0] == "w" else k: v.long() if k[0] == "w" else v for k, v in x.items()},
        ),
        ("conditioner",),
    ),
}  # fmt: skip
