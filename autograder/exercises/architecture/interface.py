"""What every network must do, whatever is inside: shapes, timesteps, variables, budgets."""

import time
from dataclasses import replace
from functools import partial

import torch
from torch import Generator

from autograder.exercises.architecture.asking import PERTURBED, count, environment, forward, images
from autograder.exercises.base import AnswerError, Failed, Probe, relative_change
from autograder.exercises.calls import seed_of
from autograder.exercises.module import SAME
from autograder.exercises.properties import stays_there
from ddpm_core.schedule import DiffusionSchedule

MOST = 4_000_000  # parameters at 64,64,64,64 and one layer: twice diffusers' U-Net
SLOWEST = 8.0  # yardsticks; diffusers' U-Net needs 2


def interface(probe: Probe, rng: Generator) -> None:
    first = replace(probe, timeout_s=max(60.0, probe.timeout_s))  # the answer may import a large package
    for batch in (2, 1, 5):
        forward(first, rng, environment(), images(rng, batch))


def sizes(probe: Probe, rng: Generator) -> None:
    for widths, layers, channels, size, batch in (
        ("64,128,128,64", 1, 3, 16, 2), ("64,64,128,128", 2, 1, 8, 3), ("64,64,64,64", 1, 3, 32, 1),
    ):  # fmt: skip
        env = environment(widths, layers, channels, size)
        forward(probe, rng, env, images(rng, batch, channels, size))


def defaults(probe: Probe, rng: Generator) -> None:
    """Two layers, three channels and 32 pixels by default."""
    env = {"BLOCK_OUT_CHANNELS": "64,64,64,64"}
    forward(probe, rng, env, images(rng, 2, 3, 32))
    if count(probe, env) != count(probe, environment(layers=2, channels=3, size=32)):
        raise Failed(
            "the defaults are wrong: without LAYERS_PER_BLOCK the network must be the same as with "
            "LAYERS_PER_BLOCK=2, and without IMAGE_CHANNELS and IMAGE_SIZE the same as for 3 channels and 32 pixels. "
            "Read them with os.environ.get(name, default)"
        )


def timesteps(probe: Probe, rng: Generator) -> None:
    a, seed = images(rng, 3), seed_of(rng)
    a["t"] = a["t"][:1].repeat(3)
    (each,) = forward(probe, rng, environment(), a, seed=seed, perturb=PERTURBED)
    for how, what in (("scalar", "a 0-d tensor, torch.tensor(7)"), ("int", "a plain int, 7")):
        (out,) = forward(probe, rng, environment(), a, seed=seed, perturb=PERTURBED, timestep=how)
        if (relative_change(out, each) > SAME).any():
            raise Failed(
                f"the timestep given as {what}, gives another result than torch.tensor([7, 7, 7]) for a batch of 3: "
                "expand it to (B,) first"
            )


def keeps_device(probe: Probe, rng: Generator) -> None:
    x = {f"{k}0": v for k, v in images(rng, 2).items()}
    asked = {"environment": environment(), "seed": 0, "batches": 1, "elsewhere": True}
    for how in ("tensor", "int"):
        try:
            stays_there("the network", partial(probe.both, "forward", x, timestep=how, **asked))
        except AnswerError:
            if how == "tensor":  # that a network takes no number is for another check to say
                raise


def reads_the_environment(probe: Probe, rng: Generator) -> None:
    small = count(probe, environment())
    if count(probe, environment("128,128,128,128")) <= small:
        raise Failed(
            "the network is no larger with BLOCK_OUT_CHANNELS=128,128,128,128 than with 64,64,64,64: read the "
            "variable from os.environ inside build_model, on every call. Keep layers in an nn.ModuleList, since the "
            "network does not register the parameters of layers in a plain list"
        )
    if count(probe, environment(layers=3)) <= small:
        raise Failed(
            "the network is no larger with LAYERS_PER_BLOCK=3 than with 1: read the variable inside build_model. Keep "
            "layers in an nn.ModuleList, since the network does not register the parameters of layers in a plain list"
        )


def small_enough(probe: Probe, rng: Generator) -> None:
    number = count(probe, environment())
    if number > MOST:
        raise Failed(
            f"the network is too large: with BLOCK_OUT_CHANNELS=64,64,64,64 and LAYERS_PER_BLOCK=1 it has {number:,} "
            f"parameters, and at most {MOST:,} are allowed"
        )


def fast_enough(probe: Probe, rng: Generator) -> None:
    """Two training steps in units of a plain stack's, the best of three: other programs may use the processor."""
    x0, eps = torch.randn(2, 2, 64, 1, 8, 8, generator=rng)
    given = {
        **{"x0": x0, "eps": eps, "t": torch.randint(1000, (2, 64), generator=rng), "lr": torch.full((2,), 1e-4)},
        "alphas_cumprod": DiffusionSchedule.named().alphas_cumprod,
    }
    train = {"ema_decay": 0.99, "weight_decay": 0.0, "grad_clip": 1.0}
    best = {"work": float("inf"), "yardstick": float("inf")}
    for enough in (SLOWEST / 4, SLOWEST / 4, SLOWEST):  # a single measurement of the yardstick may have been slowed too
        for op in best:
            start = time.monotonic()
            probe(op, given, environment=environment(), seed=0, train=train)
            best[op] = min(best[op], time.monotonic() - start)
        if best["work"] <= enough * best["yardstick"]:
            return
    raise Failed(
        f"a training step takes more than {SLOWEST:g} times as long as for a stack of 14 plain convolutions with 64 "
        "channels: look for attention at full resolution, loops over the batch, or layers much wider than "
        "BLOCK_OUT_CHANNELS"
    )
