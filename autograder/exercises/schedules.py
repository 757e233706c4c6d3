"""Checks of the schedules exercise: two noise schedules, and noising an image to any timestep in one step."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Check, Exercise, Failed, Probe, finite
from autograder.exercises.calls import call, close, keeps_device, not_by_the_batch, seed_of

SCHEDULES = "lesson 5.1, “Noise schedules”"
FORWARD = "lesson 5.1, “The forward process”"
LINEAR, COSINE, NOISY = "linear_beta_schedule", "cosine_beta_schedule", "q_sample"


def between(rng: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def lengths(rng: Generator) -> list[int]:
    """A short schedule, on which a slip of one step is large, a middling one, and the usual one."""
    return [int(torch.randint(8, 30, (), generator=rng)), int(torch.randint(100, 500, (), generator=rng)), 1000]


def betas(probe: Probe, name: str, timesteps: int, **kwargs: float) -> Tensor:
    """The answer's betas in float64. Either float is right: a cumulative product is better taken in float64."""
    out = call(probe, name, timesteps, **kwargs).tensor((timesteps,))
    if out.dtype not in (torch.float32, torch.float64):
        raise Failed(f"{name} returns {out.dtype}: betas are fractions, to be given in float32 or float64")
    return finite(out, f"{name}({timesteps})").double()


def one_beta_each(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        for timesteps in lengths(rng):
            out = betas(probe, name, timesteps)
            if not ((out > 0) & (out < 1)).all():
                raise Failed(f"{name} gives betas that are not between 0 and 1: look at {name}(10)")

    return check


def evenly_spaced(probe: Probe, rng: Generator) -> None:
    for timesteps in lengths(rng):
        step = betas(probe, LINEAR, timesteps).diff()  # (T - 1,)
        if ((step - step.mean()).abs() > 0.01 * step.mean().abs() + 5e-9).any():
            raise Failed("the betas are not evenly spaced: look at linear_beta_schedule(5).diff(), four equal numbers")


def from_start_to_end(probe: Probe, rng: Generator) -> None:
    example = (
        "look at the first and the last number of linear_beta_schedule(5, 0.1, 0.2), and of linear_beta_schedule(5)"
    )
    for timesteps in lengths(rng):
        start, end = between(rng, 1e-5, 1e-3), between(rng, 0.01, 0.05)
        for given, ends in (((), (1e-4, 0.02)), ((start, end), (start, end))):
            out = call(probe, LINEAR, timesteps, *given).tensor((timesteps,))
            text = "the schedule does not run from beta_start to beta_end, both included"
            close(out[[0, -1]], torch.tensor(ends), text, example, rtol=1e-4, atol=1e-8)


def squared_cosine(timesteps: int, s: float) -> Tensor:
    """The betas before any clamp, (T,) float64 (Nichol & Dhariwal 2021, eq. 17)."""
    f = torch.cos((torch.arange(timesteps + 1).double() / timesteps + s) / (1 + s) * math.pi / 2) ** 2
    return 1 - f[1:] / f[:-1]


def follows_cosine(probe: Probe, rng: Generator, s: float | None) -> None:
    for timesteps in lengths(rng):
        out = betas(probe, COSINE, timesteps, **({} if s is None else {"s": s}))
        right = squared_cosine(timesteps, 0.008 if s is None else s)
        inner = (right > 2e-4) & (right < 0.99)  # the clamps are judged by a check of their own
        # in float32 the last cosines have lost four digits
        if ((out - right).abs()[inner] > 3e-6 + 1e-3 * right[inner]).any():
            raise Failed(
                "abar does not fall as the squared cosine"
                + ("" if s is None else " where s is not its default")
                + ": build the T + 1 values f(0) … f(T) for T = 4 by hand, f(0) = cos²(s / (1 + s) · π/2), and compare "
                f"f(t) / f(0) with torch.cumprod(1 - {COSINE}(4), 0), which belongs to t = 1 … 4"
            )


def cosine_default(probe: Probe, rng: Generator) -> None:
    follows_cosine(probe, rng, None)


def cosine_offset(probe: Probe, rng: Generator) -> None:
    follows_cosine(probe, rng, between(rng, 0.03, 0.1))


def clamped(probe: Probe, rng: Generator) -> None:
    for timesteps in [*lengths(rng), 2000]:
        out = betas(probe, COSINE, timesteps)
        if (out < 1e-4 - 1e-7).any() or (out > 0.9999 + 1e-6).any():
            raise Failed(f"betas lie outside [1e-4, 0.9999]: look at the smallest and largest of {COSINE}(1000)")
        if (out[squared_cosine(timesteps, 0.008) > 0.99991] < 0.9999 - 1e-6).any():
            raise Failed(f"the last beta is cut below 0.9999: look at {COSINE}(1000)[-1]")
        if (out[squared_cosine(timesteps, 0.008) < 0.99e-4] > 1e-4 + 1e-7).any():
            raise Failed(f"small betas are raised above 1e-4: look at {COSINE}(2000)[0]")


def schedule(rng: Generator) -> Tensor:
    """abar (T,) float32, of a length that the answer cannot know."""
    timesteps = int(torch.randint(300, 1200, (), generator=rng))
    return torch.cumprod(1 - torch.linspace(1e-4, between(rng, 0.01, 0.03), timesteps), 0)


def noised(probe: Probe, x0: Tensor, t: Tensor, noise: Tensor, abar: Tensor):
    return call(probe, NOISY, x0, t, noise, abar, rename=("x_0", "t", "noise", "alphas_cumprod"))


def early_and_late(rng: Generator, timesteps: int) -> list[Tensor]:
    """Three batches of three images, each with one timestep: near the start, in between, near the end."""
    return [
        (int(torch.randint(9, (), generator=rng)) + at).repeat(3)
        for at in torch.tensor([1, timesteps // 2, timesteps - 9])
    ]


def q_contract(probe: Probe, rng: Generator) -> None:
    for shape in ((3, 1, 8, 8), (1, 3, 5, 4), (4, 2, 6, 3)):
        abar = schedule(rng)
        x0, noise = torch.randn(2, *shape, generator=rng)
        t = torch.randint(len(abar), shape[:1], generator=rng)
        noised(probe, x0, t, noise, abar).unchanged().tensor(shape, torch.float32)


def q_mean(probe: Probe, rng: Generator) -> None:
    abar, x0 = schedule(rng), torch.randn(3, 2, 5, 4, generator=rng)
    for t in early_and_late(rng, len(abar)):
        out = noised(probe, x0, t, torch.zeros_like(x0), abar).tensor((3, 2, 5, 4))
        close(
            out, abar[t[0]].sqrt() * x0, "the image is not scaled by the square root of abar",
            "with x_0 = torch.ones(1, 1, 2, 2), noise = torch.zeros(1, 1, 2, 2) and t = torch.tensor([3]), the square "
            "of every number that comes out should be alphas_cumprod[3]",
        )  # fmt: skip


def q_noise(probe: Probe, rng: Generator) -> None:
    abar, noise = schedule(rng), torch.randn(3, 2, 5, 4, generator=rng)
    for t in early_and_late(rng, len(abar)):
        out = noised(probe, torch.zeros_like(noise), t, noise, abar).tensor((3, 2, 5, 4))
        close(
            out, (1 - abar[t[0]]).sqrt() * noise, "the noise is not scaled by the square root of 1 - abar",
            "with x_0 = torch.zeros(1, 1, 2, 2), noise = torch.ones(1, 1, 2, 2) and t = torch.tensor([3]), every "
            "number that comes out is a standard deviation: its square should be 1 - alphas_cumprod[3]",
        )  # fmt: skip


def q_own_time(probe: Probe, rng: Generator) -> None:
    # sizes that coincide hide a wrong broadcast, so there are some of every kind
    for shape in ((4, 4, 4, 4), (5, 3, 5, 5), (3, 3, 8, 6), (6, 1, 2, 6), (2, 3, 4, 5)):
        abar = schedule(rng)
        x0, noise = torch.randn(2, *shape, generator=rng)
        t = torch.randperm(len(abar), generator=rng)[: shape[0]]
        t[:2] = torch.tensor([len(abar) - 1, 0])
        a = abar.double()[t].view(-1, 1, 1, 1)
        out = noised(probe, x0, t, noise, abar).tensor(shape)
        try:
            close(
                out, a.sqrt() * x0 + (1 - a).sqrt() * noise, "an image does not get the noise level of its own "
                "timestep", "with x_0 = torch.ones(2, 2, 2, 2), noise = torch.zeros(2, 2, 2, 2) and t = "
                "torch.tensor([0, 500]), out[0] and out[1] should be constant images, the second darker; abar[t] has "
                "shape (B,) and needs (B, 1, 1, 1)",
            )  # fmt: skip
        except Failed as failed:
            each = zip(x0.split(1), t.split(1), noise.split(1))
            alone = [noised(probe, *one, abar).tensor((1, *shape[1:])) for one in each]
            raise not_by_the_batch(failed, out, alone, "image or noise has another factor than it should") from None


def q_precision(probe: Probe, rng: Generator) -> None:
    abar, (x0, noise) = schedule(rng), torch.randn(2, 2, 1, 4, 4, generator=rng)
    t = torch.randint(len(abar), (2,), generator=rng)
    out = noised(probe, x0, t, noise, abar.double()).tensor((2, 1, 4, 4))
    if out.dtype != torch.float32:
        raise Failed(
            f"float32 images come out as {out.dtype} where alphas_cumprod is float64: cast abar[t] to x_0.dtype before "
            "it meets the image, or the network that gets x_t stops on a dtype error"
        )
    exact = noised(probe, x0.double(), t, noise.double(), abar.double()).tensor((2, 1, 4, 4))
    if exact.dtype != torch.float64:
        raise Failed(f"float64 images come out as {exact.dtype}: q_sample(x_0.double(), …) should stay in float64")


def q_device(probe: Probe, rng: Generator) -> None:
    abar, (x0, noise) = schedule(rng), torch.randn(2, 2, 1, 4, 4, generator=rng)
    keeps_device(probe, NOISY, x0, torch.randint(len(abar), (2,), generator=rng), noise, abar, seed=seed_of(rng))


def check(answer: str, what: str, points: float, run, lesson: str) -> Check:
    return Check(f"{answer}: {what}", points, run, answer=answer, lesson=lesson)


EXERCISE = Exercise(
    assignment="5_1_unconditional",
    name="schedules",
    answers=(LINEAR, COSINE, NOISY),
    operations="functions",
    library=("__init__",),
    hidden=("schedule",),
    checks=(
        check(LINEAR, "one beta between 0 and 1 per timestep", 0.5, one_beta_each(LINEAR), SCHEDULES),
        check(LINEAR, "evenly spaced", 0.75, evenly_spaced, SCHEDULES),
        check(LINEAR, "from beta_start to beta_end", 0.75, from_start_to_end, SCHEDULES),
        check(COSINE, "one beta between 0 and 1 per timestep", 0.5, one_beta_each(COSINE), SCHEDULES),
        check(COSINE, "abar falls as the squared cosine", 2.0, cosine_default, SCHEDULES),
        check(COSINE, "the offset s counts", 0.5, cosine_offset, SCHEDULES),
        check(COSINE, "clamped to [1e-4, 0.9999]", 1.0, clamped, SCHEDULES),
        check(NOISY, "keeps its contract", 0.5, q_contract, FORWARD),
        check(NOISY, "the image is scaled by sqrt(abar)", 1.0, q_mean, FORWARD),
        check(NOISY, "the noise is scaled by sqrt(1 - abar)", 1.0, q_noise, FORWARD),
        check(NOISY, "each image has its own timestep", 1.0, q_own_time, FORWARD),
        check(NOISY, "keeps the images' precision", 0.25, q_precision, FORWARD),
        check(NOISY, "keeps the device", 0.25, q_device, FORWARD),
    ),
    written=("schedules_written",),
)
