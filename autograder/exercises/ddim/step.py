"""Checks of `ddim_step`: from one noise level to the next, along the image the network predicts."""

from typing import Any

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import Returned, call, close, keeps_device, seed_of

STEP = "ddim_step"
SHAPE = (4, 3, 6, 5)
FAR = 100.0  # times the usual range, where a clamp shows


def expected(
    xt: Tensor, eps: Tensor, a: Tensor, b: Tensor, eta: float = 0.0, noise: Tensor | None = None, clip: bool = True
) -> Tensor:
    """The step in float64 (Song et al. 2021, eq. 12 and 16)."""
    xt, eps, a, b = xt.double(), eps.double(), a.double(), b.double()
    x0 = (xt - (1 - a).sqrt() * eps) / a.sqrt()
    if clip:
        x0 = x0.clamp(-1, 1)
        eps = (xt - a.sqrt() * x0) / (1 - a).sqrt()
    sigma = eta * ((1 - b) / (1 - a)).sqrt() * (1 - a / b).sqrt()
    mean = b.sqrt() * x0 + (1 - b - sigma**2).clamp(min=0).sqrt() * eps
    return mean if noise is None else mean + sigma * noise.double()


def tame(
    rng: Generator, high: float = 0.9, shape: tuple[int, ...] = SHAPE, low: float = 0.05
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(x_t, eps, abar_t, abar_next): x0 lies well within [-1, 1].

    abar_t < abar_next <= 1 are 0-d and well apart from each other and from 1; abar_t is between `low` and `high`.
    """
    a = low + (high - low) * torch.rand((), generator=rng)
    b = a + (1 - a) * (0.2 + 0.6 * torch.rand((), generator=rng))
    x0, eps = 1.8 * torch.rand(shape, generator=rng) - 0.9, torch.randn(shape, generator=rng)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps, eps, a, b


def wild(rng: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same, with most of x0 outside [-1, 1]."""
    xt, *rest = tame(rng, high=0.5)
    return 3 * xt, *rest


def step(probe: Probe, *given: Tensor, **more: object) -> Returned:
    return call(probe, STEP, *given, rename=("x_t", "eps", "abar_t", "abar_next"), **more)


def agrees(probe: Probe, given: tuple[Tensor, ...], text: str, example: str, **more: Any) -> None:
    """Failed if the step is not what it should be."""
    out = step(probe, *given, **more).tensor(SHAPE)
    close(out, expected(*given, **more), text, example, rtol=2e-4, atol=5e-5)


EXAMPLE = "try x_t = eps = torch.full((1, 1, 1, 1), 0.5), abar_t = torch.tensor(0.5), abar_next = torch.tensor(0.8)"
LEVELS = (  # low and high for abar_t, the last two near either end, and what to try
    (0.05, 0.9, EXAMPLE),
    (0.05, 0.9, EXAMPLE),
    (0.004, 0.008, EXAMPLE.replace("abar_t = torch.tensor(0.5)", "abar_t = torch.tensor(0.005)")),
    (0.985, 0.995, EXAMPLE.replace("0.5), abar_next = torch.tensor(0.8)", "0.99), abar_next = torch.tensor(0.995)")),
)
LARGE = (
    "try x_t = torch.full((1, 1, 1, 1), 3.0), eps = torch.zeros(1, 1, 1, 1), abar_t = torch.tensor(0.5), abar_next = "
)


def step_contract(probe: Probe, rng: Generator) -> None:
    xt, eps, a, b = tame(rng)
    noise = torch.randn(SHAPE, generator=rng)
    for more in ({}, {"eta": 0.7, "noise": noise}, {"clip": False}):
        step(probe, xt * 3, eps, a, b, **more).unchanged().tensor(SHAPE, torch.float32)
    step(probe, xt[:1, :, :2, :1], eps[:1, :, :2, :1], a, b).tensor((1, 3, 2, 1), torch.float32)


def deterministic_step(probe: Probe, rng: Generator) -> None:
    for low, high, tried in LEVELS:
        given = tame(rng, high, low=low)
        for clip in (True, False):  # nothing to clamp here, so both must agree
            example = f"{tried}. First solve for x0, then mix x0 and eps in the proportions of abar_next"
            agrees(probe, given, "with eta = 0 the step does not lead to the next noise level", example, clip=clip)


def lands_on_the_image(probe: Probe, rng: Generator) -> None:
    example = f"{EXAMPLE.rsplit(',', 1)[0]}, abar_next = torch.tensor(1.0). No noise may remain, whatever eta is"
    for eta in (0.0, 1.0):
        given = (*tame(rng)[:3], torch.tensor(1.0))
        more = {"eta": eta, "noise": torch.randn(SHAPE, generator=rng)}
        agrees(probe, given, "the last step, with abar_next = 1, does not end at x0", example, **more)


def clamps(probe: Probe, rng: Generator) -> None:
    for _ in range(2):
        out = step(probe, *wild(rng)[:3], torch.tensor(1.0)).tensor(SHAPE)
        if finite(out, "the result").abs().max() > 1 + 1e-4:
            raise Failed(f"x0 is not clamped to [-1, 1]: {LARGE}torch.tensor(1.0)")


def rederives(probe: Probe, rng: Generator) -> None:
    for eta in (0.0, 0.0, 0.2 + 0.8 * float(torch.rand((), generator=rng))):
        more = {"eta": eta, "noise": torch.randn(SHAPE, generator=rng)} if eta else {}
        agrees(
            probe, wild(rng), "after x0 is clamped, the noise does not agree with the clamped x0", f"{LARGE}"
            "torch.tensor(0.5). The result must equal x_t, since the clamped x0 and the new noise still add up to it. "
            "This must not depend on eta", **more,
        )  # fmt: skip


def no_clip(probe: Probe, rng: Generator) -> None:
    example = f"{LARGE}torch.tensor(1.0), clip=False"
    agrees(probe, wild(rng), "x0 is clamped even with clip=False", example, clip=False)
    xt, eps, *levels = wild(rng)
    out = step(probe, FAR * xt, FAR * eps, *levels, clip=False).tensor(SHAPE) / FAR
    right = expected(xt, eps, *levels, clip=False)
    close(out, right, "large values are clamped even with clip=False", example, rtol=2e-4, atol=5e-5)
    more = {"eta": 0.6, "noise": torch.randn(SHAPE, generator=rng), "clip": False}
    agrees(probe, wild(rng), "clip=False changes more than the clamp", "compare with clip=True where eta is 1", **more)


def given_noise(probe: Probe, rng: Generator) -> None:
    example = (
        f"{EXAMPLE}, eta = 1.0, noise = torch.ones(1, 1, 1, 1). The new noise has the factor sigma, and the remaining "
        "old noise has the variance 1 - abar_next - sigma²"
    )
    for eta, size in ((1.0, 1.0), (0.3 + 0.5 * float(torch.rand((), generator=rng)), 1.0), (1.0, 10.0)):
        given, more = tame(rng), {"eta": eta, "noise": size * torch.randn(SHAPE, generator=rng)}
        agrees(probe, given, "with eta > 0 the step does not add the right amount of new noise", example, **more)


def draws_noise(probe: Probe, rng: Generator) -> None:
    shape = (8, 3, 16, 16)
    given = tame(rng, shape=shape)
    one, two = (step(probe, *given, eta=1.0, seed=seed_of(rng)).tensor(shape).double() for _ in range(2))
    without = expected(*given, 1.0)
    sigma = float(expected(*given, 1.0, torch.ones(shape)).sub(without).mean())
    drawn = torch.stack([one - without, two - without]) / sigma  # (2, 8, 3, 16, 16), standard normal: n = 12,288
    finite(drawn, "the result")
    hint = "call ddim_step twice with eta = 1.0 and noise=None, and look at the difference"
    if torch.equal(one, two):
        raise Failed(f"with eta > 0 and noise=None, no new noise is drawn: {hint}")
    if drawn.mean().abs() > 0.06 or (drawn.std() - 1).abs() > 0.04 or drawn.abs().max() < 2.5:
        raise Failed(
            "the noise it draws is not standard normal after division by sigma: if the check “eta and sigma” fails as "
            f"well, fix that first. Otherwise {hint}"
        )
    flat = drawn.flatten(1, 2).flatten(2)  # (2, 24, 256)
    if torch.corrcoef(flat.flatten(0, 1)).fill_diagonal_(0).abs().max() > 0.5:
        raise Failed(f"images or channels share the same noise: {hint} for each image")


def draws_none(probe: Probe, rng: Generator) -> None:
    given = tame(rng)
    one, two = (step(probe, *given, seed=seed_of(rng)).tensor(SHAPE) for _ in range(2))
    if not torch.equal(one, two):
        raise Failed("two identical steps with eta = 0 differ: with eta = 0, DDIM is deterministic")


def stays_finite(probe: Probe, rng: Generator) -> None:
    xt, eps = torch.randn(2, *SHAPE, generator=rng)
    ends = torch.tensor([2.4e-10, 1e-6, 1e-3, 0.03, 0.3, 0.9, 0.9999, 1.0])
    for i, a in enumerate(ends[:-1]):
        for b in ends[i + 1 :]:
            for scale in (1.0, 100.0):
                out = step(probe, scale * xt, eps, a, b, eta=1.0, noise=eps).tensor(SHAPE)
                if not torch.isfinite(out).all():
                    raise Failed(
                        f"the result is nan or infinite for abar_t = {a:g}, abar_next = {b:g} and eta = 1.0: rounding "
                        "can make 1 - abar_next - sigma² slightly negative there, so clamp it at 0 before the square "
                        "root"
                    )


def device(probe: Probe, rng: Generator) -> None:
    keeps_device(probe, STEP, *tame(rng), eta=1.0, seed=seed_of(rng))
