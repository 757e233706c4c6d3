"""Checks of `ddim_step`: from one noise level to the next, along the image that the network sees."""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import Returned, call, close, keeps_device, seed_of

STEP = "ddim_step"
SHAPE = (4, 3, 6, 5)


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


def levels(rng: Generator, low: float = 0.05, high: float = 0.9) -> tuple[Tensor, Tensor]:
    """abar_t < abar_next, 0-d, well apart from each other and from both ends."""
    a = low + (high - low) * torch.rand((), generator=rng)
    return a, a + (1 - a) * (0.2 + 0.6 * torch.rand((), generator=rng))


def tame(rng: Generator, a: Tensor) -> tuple[Tensor, Tensor]:
    """(x_t, eps) whose x0 lies well within [-1, 1]."""
    x0, eps = 1.8 * torch.rand(SHAPE, generator=rng) - 0.9, torch.randn(SHAPE, generator=rng)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps, eps


def step(probe: Probe, xt: Tensor, eps: Tensor, a: Tensor, b: Tensor, **more: object) -> Returned:
    return call(probe, STEP, xt, eps, a, b, rename=("x_t", "eps", "abar_t", "abar_next"), **more)


EXAMPLE = "try x_t = eps = torch.full((1, 1, 1, 1), 0.5), abar_t = torch.tensor(0.5), abar_next = torch.tensor(0.8)"


def step_contract(probe: Probe, rng: Generator) -> None:
    a, b = levels(rng)
    xt, eps = tame(rng, a)
    noise = torch.randn(SHAPE, generator=rng)
    for more in ({}, {"eta": 0.7, "noise": noise}, {"clip": False}):
        step(probe, xt * 3, eps, a, b, **more).unchanged().tensor(SHAPE, torch.float32)
    one = step(probe, xt[:1, :, :2, :1], eps[:1, :, :2, :1], a, b)
    one.tensor((1, 3, 2, 1), torch.float32)


def deterministic_step(probe: Probe, rng: Generator) -> None:
    for _ in range(3):
        a, b = levels(rng)
        xt, eps = tame(rng, a)
        for clip in (True, False):  # nothing to clamp here: both must agree
            out = step(probe, xt, eps, a, b, clip=clip).tensor(SHAPE)
            close(
                out, expected(xt, eps, a, b), "with eta = 0 the step does not lead to the next noise level",
                f"{EXAMPLE}; solve for x0, then mix x0 and eps in the shares of abar_next", rtol=2e-4, atol=5e-5,
            )  # fmt: skip


def lands_on_the_image(probe: Probe, rng: Generator) -> None:
    for eta in (0.0, 1.0):
        a, _ = levels(rng)
        xt, eps = tame(rng, a)
        out = step(probe, xt, eps, a, torch.tensor(1.0), eta=eta, noise=torch.randn(SHAPE, generator=rng)).tensor(SHAPE)
        close(
            out, expected(xt, eps, a, torch.tensor(1.0)), "the last step, abar_next = 1, does not land on x0",
            f"{EXAMPLE.rsplit(',', 1)[0]}, abar_next = torch.tensor(1.0): no noise may be left, with any eta",
            rtol=2e-4, atol=5e-5,
        )  # fmt: skip


def wild(rng: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(x_t, eps, abar_t, abar_next) with most of x0 outside of [-1, 1]."""
    a, b = levels(rng, 0.05, 0.5)
    xt, eps = tame(rng, a)
    return 3 * xt, eps, a, b


def clamps(probe: Probe, rng: Generator) -> None:
    for _ in range(2):
        xt, eps, a, _ = wild(rng)
        out = step(probe, xt, eps, a, torch.tensor(1.0)).tensor(SHAPE)
        if finite(out, "the result").abs().max() > 1 + 1e-4:
            raise Failed(
                "x0 is not clamped to [-1, 1]: try x_t = torch.full((1, 1, 1, 1), 3.0), eps = torch.zeros(1, 1, 1, 1), "
                "abar_t = torch.tensor(0.5), abar_next = torch.tensor(1.0)"
            )


def rederives(probe: Probe, rng: Generator) -> None:
    for _ in range(2):
        xt, eps, a, b = wild(rng)
        out = step(probe, xt, eps, a, b).tensor(SHAPE)
        close(
            out, expected(xt, eps, a, b), "after clamping x0, the noise is not the one that agrees with the clamped x0",
            "try x_t = torch.full((1, 1, 1, 1), 3.0), eps = torch.zeros(1, 1, 1, 1), abar_t = torch.tensor(0.5), "
            "abar_next = torch.tensor(0.5): nothing may change, since x0 and the noise still make up the same x_t",
            rtol=2e-4, atol=5e-5,
        )  # fmt: skip


def no_clip(probe: Probe, rng: Generator) -> None:
    xt, eps, a, b = wild(rng)
    out = step(probe, xt, eps, a, b, clip=False).tensor(SHAPE)
    close(
        out, expected(xt, eps, a, b, clip=False), "clip=False clamps all the same",
        "try x_t = torch.full((1, 1, 1, 1), 3.0), eps = torch.zeros(1, 1, 1, 1), abar_t = torch.tensor(0.5), abar_next "
        "= torch.tensor(1.0), clip=False", rtol=2e-4, atol=5e-5,
    )  # fmt: skip


def given_noise(probe: Probe, rng: Generator) -> None:
    for eta in (1.0, 0.3 + 0.5 * float(torch.rand((), generator=rng))):
        a, b = levels(rng)
        xt, eps = tame(rng, a)
        noise = torch.randn(SHAPE, generator=rng)
        out = step(probe, xt, eps, a, b, eta=eta, noise=noise).tensor(SHAPE)
        close(
            out, expected(xt, eps, a, b, eta, noise), "with eta > 0 the step does not have the right share of new "
            "noise",
            f"{EXAMPLE}, eta = 1.0, noise = torch.ones(1, 1, 1, 1): the noise enters with the factor sigma, and what "
            "of the old noise is left has the variance 1 - abar_next - sigma²", rtol=2e-4, atol=5e-5,
        )  # fmt: skip


def draws_noise(probe: Probe, rng: Generator) -> None:
    a, b = levels(rng)
    shape = (8, 3, 16, 16)
    x0, eps = 1.8 * torch.rand(shape, generator=rng) - 0.9, torch.randn(shape, generator=rng)
    xt = a.sqrt() * x0 + (1 - a).sqrt() * eps
    one, two = (step(probe, xt, eps, a, b, eta=1.0, seed=seed_of(rng)).tensor(shape).double() for _ in range(2))
    without = expected(xt, eps, a, b, 1.0)
    sigma = float(expected(xt, eps, a, b, 1.0, torch.ones_like(xt)).sub(without).mean())
    drawn = torch.stack([one - without, two - without]) / sigma  # (2, 8, 3, 16, 16), standard normal: n = 12,288
    finite(drawn, "the result")
    hint = "call ddim_step twice with eta = 1.0 and noise=None, and look at the difference"
    if torch.equal(one, two):
        raise Failed(f"with eta > 0 and noise=None no fresh noise is drawn: {hint}")
    if drawn.mean().abs() > 0.06 or (drawn.std() - 1).abs() > 0.04 or drawn.abs().max() < 2.5:
        raise Failed(
            "the noise that is drawn does not come out standard normal when it is divided by sigma: if the check “eta "
            f"and sigma” fails as well, mend that first; else {hint}"
        )
    flat = drawn.flatten(1, 2).flatten(2)  # (2, 24, 256)
    if torch.corrcoef(flat.flatten(0, 1)).fill_diagonal_(0).abs().max() > 0.5:
        raise Failed(f"images or channels share their noise: {hint}, image by image")


def draws_none(probe: Probe, rng: Generator) -> None:
    a, b = levels(rng)
    xt, eps = tame(rng, a)
    one, two = (step(probe, xt, eps, a, b, seed=seed_of(rng)).tensor(SHAPE) for _ in range(2))
    if not torch.equal(one, two):
        raise Failed("two steps with eta = 0 differ: DDIM without eta is deterministic")


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
                        "makes 1 - abar_next - sigma² a little less than zero there; clamp it at 0 before the root"
                    )


def device(probe: Probe, rng: Generator) -> None:
    a, b = levels(rng)
    xt, eps = tame(rng, a)
    keeps_device(probe, STEP, xt, eps, a, b, eta=1.0, seed=seed_of(rng))
