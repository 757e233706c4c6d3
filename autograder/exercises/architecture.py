"""Checks of the architecture exercise: a network that keeps the interface, whatever is inside.

Parameters are perturbed before it is asked what depends on what: zero-initialised layers are right. Widths always have
four levels, as at the published scales, and are multiples of 64, so that diffusers' GroupNorm(32) works as it should.
"""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Check, Exercise, Failed, Probe, finite, relative_change, tensor
from autograder.exercises.calls import same, seed_of
from ddpm_core.schedule import DiffusionSchedule

ANSWER = "build_model"
LESSON = "lesson 5.1, “The U-Net”"
SEES = 1e-3  # a change of a thousandth of the output's spread: rounding is a hundred times smaller
SAME = 1e-3
PERTURBED = 0.05
MOST = 4_000_000  # parameters at 64,64,64,64 and one layer: twice diffusers' U-Net
SLOWEST = 8.0  # yardsticks; diffusers' U-Net needs 2
REACHED = 0.9  # of the parameters; a bias before a norm, for one, gets no gradient and is no error


def environment(widths: str = "64,64,64,64", layers: int = 1, channels: int = 1, size: int = 8) -> dict[str, str]:
    """What the runner sets."""
    return {
        **{"BLOCK_OUT_CHANNELS": widths, "LAYERS_PER_BLOCK": str(layers)},
        **{"IMAGE_CHANNELS": str(channels), "IMAGE_SIZE": str(size)},
    }


def images(rng: Generator, batch: int, channels: int = 1, size: int = 8) -> dict[str, Tensor]:
    """Noisy images with a timestep of their own each."""
    x = torch.randn(batch, channels, size, size, generator=rng)
    return {"x": x, "t": torch.randint(1000, (batch,), generator=rng)}


def forward(probe: Probe, rng: Generator, env: dict[str, str], *batches: dict[str, Tensor], **header) -> list[Tensor]:
    """The outputs; Failed where one has not the shape of its input, or an input was changed."""
    flat = {f"{k}{i}": v for i, b in enumerate(batches) for k, v in b.items()}
    seed = header.pop("seed", None) or seed_of(rng)
    out = probe("forward", flat, environment=env, seed=seed, batches=len(batches), **header)
    where = f"with BLOCK_OUT_CHANNELS={env['BLOCK_OUT_CHANNELS']}, the network"
    dtype = None if header.get("autocast") else torch.float32
    outs = [tensor(out, f"out{i}", tuple(b["x"].shape), where, dtype) for i, b in enumerate(batches)]
    for name, before in flat.items():
        if not same(out.get(f"in.{name}", before), before):
            raise Failed(f"the network changes its input `{'timestep' if name[0] == 't' else 'x'}` in place")
    return [finite(o, "the network's output") for o in outs]


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
    """Two layers, three channels and 32 pixels where nothing else is said."""
    env = {"BLOCK_OUT_CHANNELS": "64,64,64,64"}
    forward(probe, rng, env, images(rng, 2, 3, 32))
    if count(probe, env) != count(probe, environment(layers=2, channels=3, size=32)):
        raise Failed(
            "without LAYERS_PER_BLOCK the network is another one than with LAYERS_PER_BLOCK=2, or without "
            "IMAGE_CHANNELS and IMAGE_SIZE another than for 3 channels and 32 pixels; read them with "
            "os.environ.get(name, default)"
        )


def timesteps(probe: Probe, rng: Generator) -> None:
    a, seed = images(rng, 3), seed_of(rng)
    a["t"] = a["t"][:1].repeat(3)
    (each,) = forward(probe, rng, environment(), a, seed=seed, perturb=PERTURBED)
    for how, what in (("scalar", "a 0-d tensor, torch.tensor(7)"), ("int", "a plain int, 7")):
        (out,) = forward(probe, rng, environment(), a, seed=seed, perturb=PERTURBED, timestep=how)
        if (relative_change(out, each) > SAME).any():
            raise Failed(
                f"the timestep given as {what}, means something else than torch.tensor([7, 7, 7]) for a batch of 3; "
                "broadcast it to (B,) first"
            )


def count(probe: Probe, env: dict[str, str]) -> int:
    reply, _ = probe.both("parameters", environment=env, seed=0)
    number = reply.get("parameters")
    if type(number) is not int or number <= 0:
        raise Failed("the network has no parameters: nothing in it can learn")
    return number


def reads_the_environment(probe: Probe, rng: Generator) -> None:
    small = count(probe, environment())
    if count(probe, environment("128,128,128,128")) <= small:
        raise Failed(
            "the network is no larger with BLOCK_OUT_CHANNELS=128,128,128,128 than with 64,64,64,64; read the variable "
            "in build_model, with os.environ, each time that it is called"
        )
    if count(probe, environment(layers=3)) <= small:
        raise Failed("the network is no larger with LAYERS_PER_BLOCK=3 than with 1; read the variable in build_model")


def own_sample_only(probe: Probe, rng: Generator) -> None:
    a, other, keep = images(rng, 4), images(rng, 4), torch.arange(4) < 2
    first, last = (
        {k: torch.where(kept.view(-1, *[1] * (v.dim() - 1)), v, other[k]) for k, v in a.items()}
        for kept in (keep, ~keep)
    )
    for training in (False, True):
        full, *partly = forward(probe, rng, environment(), a, first, last, perturb=PERTURBED, training=training)
        moved = torch.cat([relative_change(full, partly[0])[:2], relative_change(full, partly[1])[2:]])
        if (moved <= SAME).all():
            continue
        raise Failed(
            "sample i depends on other samples of the batch: in a batch of 4, new images and timesteps for one half "
            "changed the output of the other. Look for a batch norm, a mean over the batch, timestep[0], or a "
            "reshape that mixes the batch with another axis"
        )


def sees_the_time(probe: Probe, rng: Generator) -> None:
    a = images(rng, 4)
    a["t"] = torch.randint(0, 300, (4,), generator=rng)
    early, late = forward(probe, rng, environment(), a, {**a, "t": a["t"] + 600}, perturb=PERTURBED)
    if (relative_change(early, late) < SEES).any():
        raise Failed(
            "the output does not depend on the timestep: the same images at an early and at a late timestep give the "
            "same result. Follow the timestep's embedding into the blocks"
        )


def sees_the_image(probe: Probe, rng: Generator) -> None:
    a, other = images(rng, 4), images(rng, 4)
    one, two = forward(probe, rng, environment(), a, {**other, "t": a["t"]}, perturb=PERTURBED)
    if (relative_change(one, two) < SEES).any():
        raise Failed("the output does not depend on the image: two different images give the same result")


def stays_finite(probe: Probe, rng: Generator) -> None:
    a = images(rng, 3)
    a["t"] = torch.tensor([0, 500, 999])
    for scale in (1.0, 1e3, 0.0):
        given = {**a, "x": a["x"] * scale}
        try:
            forward(probe, rng, environment(), given, perturb=PERTURBED)
        except Failed as e:
            raise Failed(f"{e} (images of size {scale:g}, timesteps 0, 500 and 999)") from e


def gradient_reaches(probe: Probe, rng: Generator) -> None:
    a = images(rng, 4, size=16)
    given = {**a, "weights": torch.randn(4, 1, 16, 16, generator=rng)}
    env, seed = environment(size=16), seed_of(rng)
    reply, out = probe.both("gradient", given, environment=env, seed=seed, perturb=PERTURBED)
    grad = finite(tensor(out, "grad", (4, 1, 16, 16), "the gradient"), "the gradient of the output")
    reached, total = reply.get("reached"), reply.get("parameters")
    if type(reached) is not int or type(total) is not int or total <= 0:
        raise Failed("the number of parameters could not be read")
    if reached < REACHED * total or (grad.abs().flatten(1).amax(1) == 0).any():
        raise Failed(
            f"gradient reaches {reached:,} of {total:,} parameters; look for .detach(), torch.no_grad(), "
            "requires_grad_(False), or a layer that is made and never used"
        )


def autocast(probe: Probe, rng: Generator) -> None:
    forward(probe, rng, environment(), images(rng, 2), autocast=True)


def deterministic(probe: Probe, rng: Generator) -> None:
    a = images(rng, 3)
    one, _, again = forward(probe, rng, environment(), a, images(rng, 3), a, perturb=PERTURBED)
    if (relative_change(one, again) > 1e-6).any():
        raise Failed(
            "two calls in eval mode with the same inputs differ, with another call in between: look for randomness "
            "outside nn.Dropout, or state kept between calls"
        )


def no_global_state(probe: Probe, rng: Generator) -> None:
    a, seed = images(rng, 3), seed_of(rng)
    (alone,) = forward(probe, rng, environment(), a, seed=seed, perturb=PERTURBED)
    (beside,) = forward(probe, rng, environment(), a, seed=seed, perturb=PERTURBED, other=True)
    if (relative_change(alone, beside) > 1e-6).any():
        raise Failed(
            "building a second network changes the first one: make every layer anew within build_model, and keep none "
            "in a global variable"
        )
    reply, _ = probe.both("parameters", environment=environment(), seed=seed)
    if reply.get("left"):
        raise Failed(f"build_model changes {', '.join(map(str, reply['left']))[:200]} for the whole process")


def small_enough(probe: Probe, rng: Generator) -> None:
    number = count(probe, environment())
    if number > MOST:
        raise Failed(
            f"with BLOCK_OUT_CHANNELS=64,64,64,64 and LAYERS_PER_BLOCK=1 the network holds {number:,} parameters, more "
            f"than the {MOST:,} that are allowed there"
        )


def fast_enough(probe: Probe, rng: Generator) -> None:
    """Two training steps in units of a plain stack's, the best of three: another program may take the processor."""
    x0, eps = torch.randn(2, 2, 64, 1, 8, 8, generator=rng)
    given = {
        **{"x0": x0, "eps": eps, "t": torch.randint(1000, (2, 64), generator=rng), "lr": torch.full((2,), 1e-4)},
        "alphas_cumprod": DiffusionSchedule.named().alphas_cumprod,
    }
    train = {"ema_decay": 0.99, "weight_decay": 0.0, "grad_clip": 1.0}
    best = {"work": float("inf"), "yardstick": float("inf")}
    for _ in range(3):
        for op in best:
            start = time.monotonic()
            probe(op, given, environment=environment(), seed=0, train=train)
            best[op] = min(best[op], time.monotonic() - start)
        if best["work"] <= SLOWEST * best["yardstick"]:
            return
    raise Failed(
        f"a training step takes more than {SLOWEST:g} times as long as one of 14 plain convolutions of 64 channels; "
        "look for attention at full size, loops over the batch, or much wider layers than BLOCK_OUT_CHANNELS says"
    )


def check(what: str, points: float, run, fatal: bool = False) -> Check:
    return Check(f"{ANSWER}: {what}", points, run, fatal=fatal, answer=ANSWER, lesson=LESSON)


EXERCISE = Exercise(
    assignment="5_1_unconditional",
    name="architecture",
    answers=(ANSWER,),
    operations="architecture",
    questions=("unconditional",),
    library=("__init__", "attention", "ema", "layers"),
    hidden=("network", "unet", "unet2d"),
    packages=("diffusers",),
    checks=(  # in the order of the reason that a student should read first
        check("keeps the interface", 1.5, interface, fatal=True),
        check("fits other widths, channels and sizes", 1.0, sizes, fatal=True),
        check("the output is finite", 0.75, stays_finite, fatal=True),
        check("sample i depends only on sample i", 1.25, own_sample_only, fatal=True),
        check("the output depends on the timestep", 1.5, sees_the_time, fatal=True),
        check("the output depends on the image", 0.5, sees_the_image, fatal=True),
        check("reads the environment", 1.0, reads_the_environment),
        check("has the defaults", 0.25, defaults),
        check("takes the timestep as a number too", 0.5, timesteps),
        check("gradient reaches the parameters", 0.5, gradient_reaches),
        check("runs under bfloat16 autocast", 0.25, autocast),
        check("deterministic in eval mode", 0.25, deterministic),
        check("leaves nothing behind", 0.25, no_global_state),
        check("stays within the parameter budget", 0.25, small_enough),
        check("stays within the time budget", 0.25, fast_enough),
    ),
    gate_cell="architecture_gate",
    gate_points=10.0,
    written=("architecture_written",),
)
