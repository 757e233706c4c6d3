"""Checks of what is easily forgotten: shared and frozen weights, buffers, and a model in another dtype."""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, tensor
from autograder.exercises.ema.averages import (
    FLOATING,
    FROZEN,
    INTEGER,
    PARAMETERS,
    SHAPES,
    SHARED,
    STEPS,
    TABLE,
    average,
    decays,
    follow,
    near,
    odd_path,
    path,
    values_of,
)

NORM = "with net = nn.BatchNorm1d(2), look at ema.module.{0} after net.{0}.fill_({1}) and an update"
OWN = (
    'with net = nn.Linear(1, 1) and net.register_buffer("extra", torch.{0}), look at ema.module.extra after '
    "net.extra.fill_({1}) and an update"
)
BUFFERS = (  # the network, the buffer, and what to try
    *(("net", name, NORM.format("running_mean", "1.0")) for name in FLOATING),
    ("odd", TABLE, OWN.format("zeros(1)", "1.0")),
)
COUNTERS = (
    ("net", INTEGER, NORM.format("num_batches_tracked", "7")),
    ("odd", STEPS, OWN.format("zeros(1).int()", "7")),
)
FAR = 100.0  # times the usual weights
PATHS = {"net": path, "odd": odd_path}


def averaged_or_copied(out: dict[str, Tensor], name: str, values: Tensor, decay: float) -> bool:
    """Does the module's value follow the network's `values` (updates + 1, ...) in one of these ways?"""
    got, averaged = values_of(out, name, len(values))[1:], average(values, decays(len(values) - 1, decay))[1:]
    return near(got, averaged) or near(got, values[1:])


def shared_and_frozen(probe: Probe, rng: Generator) -> None:
    values, decay = odd_path(rng, 6), 0.6
    out = follow(probe, values, runs=[{"decay": decay}], net="odd")
    for name in SHARED:
        if not near(values_of(out, name, 7)[1:], average(values[name], decays(6, decay))[1:]):
            raise Failed(
                "a weight that two layers share is not averaged once per update: with net = nn.Sequential(nn.Linear("
                "1, 1), nn.Linear(1, 1)), net[1].weight = net[0].weight, then as in the other checks, 2/11 of "
                "ema.module[0].weight should remain. parameters() lists such a weight once, state_dict() twice"
            )
    if not averaged_or_copied(out, FROZEN, values[FROZEN], decay):
        raise Failed(
            "a frozen parameter is neither averaged nor copied from the model: with net = nn.Linear(1, "
            "1).requires_grad_(False), look at ema.module.weight after nn.init.zeros_(net.weight) and an update. A "
            "frozen weight can still get new values, for instance from a file"
        )


def buffers(probe: Probe, rng: Generator) -> None:
    decay = 0.4
    for net, name, example in BUFFERS:
        values = PATHS[net](rng, 8)
        out = follow(probe, values, runs=[{"decay": decay}], net=net)
        if not averaged_or_copied(out, name, values[name], decay):
            raise Failed(
                f"the buffer `{name}` is neither averaged like the weights nor copied from the model: {example}. "
                "parameters() does not include buffers"
            )


def counters(probe: Probe, rng: Generator) -> None:
    for net, name, example in COUNTERS:
        values = PATHS[net](rng, 6)
        out = follow(probe, values, net=net)
        if not torch.equal(values_of(out, name, 7)[1:], values[name][1:]):
            raise Failed(
                f"after an update, the integer buffer `{name}` is not the model's: {example}. Integers are copied, not "
                "averaged"
            )


def precision(probe: Probe, rng: Generator) -> None:
    """Also with weights far beyond the usual range, where a clamp shows."""
    values, decay = path(rng, 3), 0.5
    values |= {n: FAR * v.double() for n, v in values.items() if v.is_floating_point()}
    out = follow(probe, values, runs=[{"decay": decay}], double=True)
    for name in PARAMETERS:
        got = tensor(out, f"0.{name}", (4, *SHAPES[name]), f"`{name}` of ema.module", None)
        if got.dtype != torch.float64:
            raise Failed(
                f"ema.module is {got.dtype} for a model in float64: try net = nn.Linear(1, 1).double(). Copy with "
                "copy.deepcopy, which keeps the model's dtype, and do not call .float() or .half()"
            )
        if not near(got / FAR, average(values[name], decays(3, decay)) / FAR):
            raise Failed(
                "for large weights in float64 the average is wrong: if the other checks pass, look for a clamp, or for "
                "a step in float16"
            )
