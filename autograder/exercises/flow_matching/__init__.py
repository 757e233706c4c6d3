"""The flow_matching exercise: the straight path between image and noise, its velocity, and the way back (back.py)."""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Exercise, Failed, Probe, check_of
from autograder.exercises.calls import Returned, call, close, keeps_device, not_by_the_batch
from autograder.exercises.flow_matching import back

LESSON = "lesson 5.4, “The straight path”"
PATH, TARGET = "interpolate_path", "velocity_target"
SHAPES = back.SHAPES
ENDS = {
    0.0: "at t = 0, the path is not at the image: look at interpolate_path(x0, eps, torch.zeros(len(x0)))",
    1.0: "at t = 1, the path is not at the noise: look at interpolate_path(x0, eps, torch.ones(len(x0)))",
}


def path(probe: Probe, x0: Tensor, eps: Tensor, t: Tensor) -> Returned:
    return call(probe, PATH, x0, eps, t, rename=("x0", "eps", "t"))


def target(probe: Probe, x0: Tensor, eps: Tensor) -> Returned:
    return call(probe, TARGET, x0, eps, rename=("x0", "eps"))


def path_contract(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        x0, eps = torch.randn(2, *shape, generator=rng)
        path(probe, x0, eps, torch.rand(shape[0], generator=rng)).unchanged().tensor(shape, torch.float32)


def ends(t: float, probe: Probe, rng: Generator) -> None:
    for shape in SHAPES[:4]:
        x0, eps = torch.randn(2, *shape, generator=rng)
        out = path(probe, x0, eps, torch.full((shape[0],), t)).tensor(shape)
        close(out, eps if t else x0, ENDS[t].partition(":")[0], ENDS[t].partition(": ")[2])


def straight(probe: Probe, rng: Generator) -> None:
    """The factors of image and noise, with one time for the whole batch: one input is zero, then neither."""
    for size in (1.0, 1.0, back.FAR):
        t = 0.05 + 0.9 * torch.rand((), generator=rng)
        x0, eps = torch.randn(2, 3, 2, 4, 5, generator=rng)
        for a, b in ((x0, 0 * eps), (0 * x0, eps), (x0, eps)):
            out = path(probe, size * a, size * b, t.repeat(3)).tensor((3, 2, 4, 5)) / size
            far = " for large values: do not clamp" if size > 1 else ""
            close(
                out, (1 - t) * a + t * b, f"between its ends, the path is not the straight line{far}", "with x0 = "
                "torch.zeros(3, 1), eps = torch.ones(3, 1) and t = torch.tensor([0.0, 0.25, 1.0]), the result should "
                "be 0, 0.25 and 1. The factors of image and noise add up to 1, without square roots",
            )  # fmt: skip


def path_own_time(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        x0, eps = torch.randn(2, *shape, generator=rng)
        t = torch.randperm(50, generator=rng)[: shape[0]] / 49
        out = path(probe, x0, eps, t).tensor(shape)
        try:
            close(
                out, torch.lerp(x0, eps, t.view(-1, *[1] * (len(shape) - 1))), "an image is not at its own time",
                "with x0 = torch.zeros(2, 2, 2, 2), eps = torch.ones(2, 2, 2, 2) and t = torch.tensor([0.0, 0.5]), out"
                "[0] should be 0 and out[1] 0.5 everywhere. t has shape (B,); reshape it to (B, 1, 1, 1)",
            )  # fmt: skip
        except Failed as failed:
            alone = [path(probe, *one).tensor((1, *shape[1:])) for one in zip(x0.split(1), eps.split(1), t.split(1))]
            raise not_by_the_batch(failed, out, alone, "the line itself is wrong") from None


def path_precision(probe: Probe, rng: Generator) -> None:
    x0, eps = torch.randn(2, 2, 1, 4, 4, generator=rng)
    back.keeps_dtype(path(probe, x0, eps, torch.rand(2, generator=rng).double()), torch.float32, "interpolate_path")
    t = torch.rand(2, generator=rng)
    back.keeps_dtype(path(probe, x0.double(), eps.double(), t), torch.float64, "interpolate_path")


def path_device(probe: Probe, rng: Generator) -> None:
    keeps_device(probe, PATH, *torch.randn(2, 3, 2, generator=rng), torch.rand(3, generator=rng))


def target_contract(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        target(probe, *torch.randn(2, *shape, generator=rng)).unchanged().tensor(shape, torch.float32)


def derivative(probe: Probe, rng: Generator) -> None:
    """Also far from the usual range, where clamping or scaling by the batch shows."""
    for shape in SHAPES:
        for size, scale in ((1.0, 1.0), (1.0, 30.0), (30.0, 1.0)):
            eps, x0 = torch.tensor([size, scale]).view(2, *[1] * len(shape)) * torch.randn(2, *shape, generator=rng)
            close(
                target(probe, x0, eps).tensor(shape), eps.double() - x0.double(), "the target is not "
                "the velocity of the path", "with x0 = torch.zeros(1, 1) and eps = torch.ones(1, 1), the point moves "
                "from 0 to 1 as t goes from 0 to 1. With x0 = torch.ones(1, 1) and eps = torch.zeros(1, 1), it moves "
                "from 1 to 0",
                atol=1e-4,
            )  # fmt: skip


def target_device(probe: Probe, rng: Generator) -> None:
    keeps_device(probe, TARGET, *torch.randn(2, 3, 2, generator=rng))


on_path, on_target = partial(check_of, PATH, LESSON), partial(check_of, TARGET, LESSON)
EXERCISE = Exercise(
    assignment="5_4_flow",
    position=1,
    name="flow_matching",
    answers=(PATH, TARGET, back.BACK),
    operations="functions",
    library=("__init__",),
    hidden=("flow", "parameterization", "schedule"),
    checks=(
        on_path("keeps its contract", 0.5, path_contract),
        on_path("starts at the image", 0.5, partial(ends, 0.0)),
        on_path("ends at the noise", 0.5, partial(ends, 1.0)),
        on_path("a straight line between", 1.25, straight),
        on_path("each image has its own time", 0.75, path_own_time),
        on_path("keeps the images' precision", 0.25, path_precision),
        on_path("keeps the device", 0.25, path_device),
        on_target("keeps its contract", 0.5, target_contract),
        on_target("the derivative of the path", 1.25, derivative),
        on_target("keeps the device", 0.25, target_device),
        *back.checks(LESSON),
    ),
    written=("flow_matching_written",),
)
