"""Checks of `q_sample`: noising an image to any timestep in one step."""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe
from autograder.exercises.calls import call, close, keeps_device, not_by_the_batch, seed_of
from autograder.exercises.schedules.betas import between

NOISY = "q_sample"
FAR = 100.0  # times the usual noise, where a clamp shows


def schedule(rng: Generator, low: int = 300, high: int = 1200) -> Tensor:
    """abar (T,) float32, of a length the answer cannot know."""
    timesteps = int(torch.randint(low, high, (), generator=rng))
    return torch.cumprod(1 - torch.linspace(1e-4, between(rng, 0.01, 0.03), timesteps), 0)


def noised(probe: Probe, x0: Tensor, t: Tensor, noise: Tensor, abar: Tensor):
    return call(probe, NOISY, x0, t, noise, abar, rename=("x_0", "t", "noise", "alphas_cumprod"))


def early_and_late(rng: Generator, timesteps: int) -> list[Tensor]:
    """Timesteps of three batches of three images: near the start, in the middle, near the end."""
    return [
        (int(torch.randint(9, (), generator=rng)) + at).repeat(3)
        for at in torch.tensor([1, timesteps // 2, timesteps - 9])
    ]


def contract(probe: Probe, rng: Generator) -> None:
    for shape in ((3, 1, 8, 8), (1, 3, 5, 4), (4, 2, 6, 3)):
        abar = schedule(rng)
        x0, noise = torch.randn(2, *shape, generator=rng)
        t = torch.randint(len(abar), shape[:1], generator=rng)
        noised(probe, x0, t, noise, abar).unchanged().tensor(shape, torch.float32)


MEAN = (
    "the image is not scaled by the square root of abar",
    "with x_0 = torch.ones(1, 1, 2, 2), noise = torch.zeros(1, 1, 2, 2) and t = torch.tensor([3]), the square of "
    "every value in the result should be alphas_cumprod[3]",
)
NOISE = (
    "the noise is not scaled by the square root of 1 - abar",
    "with x_0 = torch.zeros(1, 1, 2, 2), noise = torch.ones(1, 1, 2, 2) and t = torch.tensor([3]), the square of "
    "every value in the result should be 1 - alphas_cumprod[3]",
)
CLAMPED = (
    "large noise is clamped, or changed in another way",
    "with x_0 = torch.zeros(1, 1, 2, 2), noise = torch.full((1, 1, 2, 2), 10.0) must give ten times the result of "
    "torch.ones(1, 1, 2, 2)",
)


def scaled(of_image: bool, probe: Probe, rng: Generator) -> None:
    """One of the two terms at a time: the other input is zero."""
    abar, x = schedule(rng), torch.randn(3, 2, 5, 4, generator=rng)
    zero = torch.zeros_like(x)
    for t in early_and_late(rng, len(abar)):
        out = noised(probe, *((x, t, zero) if of_image else (zero, t, x)), abar).tensor((3, 2, 5, 4))
        variance = abar[t[0]] if of_image else 1 - abar[t[0]]
        close(out, variance.sqrt() * x, *(MEAN if of_image else NOISE))
        if not of_image:  # images lie in [-1, 1], but noise has no bounds
            out = noised(probe, zero, t, FAR * x, abar).tensor((3, 2, 5, 4))
            close(out / FAR, variance.sqrt() * x, *CLAMPED)


def own_time(probe: Probe, rng: Generator) -> None:
    # equal sizes can hide a wrong broadcast, so these shapes vary which of them coincide
    for i, shape in enumerate(((4, 4, 4, 4), (5, 3, 5, 5), (3, 3, 8, 6), (6, 1, 2, 6), (2, 3, 4, 5))):
        abar = schedule(rng) if i else schedule(rng, 1300, 1600)
        x0, noise = torch.randn(2, *shape, generator=rng)
        t = torch.randperm(len(abar), generator=rng)[: shape[0]]
        t[:2] = torch.tensor([len(abar) - 1, 0])
        a = abar.double()[t].view(-1, 1, 1, 1)
        out = noised(probe, x0, t, noise, abar).tensor(shape)
        try:
            close(
                out, a.sqrt() * x0 + (1 - a).sqrt() * noise, "an image does not get the noise level of its own "
                "timestep", "with x_0 = torch.ones(2, 2, 2, 2), noise = torch.zeros(2, 2, 2, 2) and t = "
                "torch.tensor([0, 500]), out[0] and out[1] should be constant images, the second darker. abar[t] has "
                "shape (B,); reshape it to (B, 1, 1, 1)",
            )  # fmt: skip
        except Failed as failed:
            each = zip(x0.split(1), t.split(1), noise.split(1))
            alone = [noised(probe, *one, abar).tensor((1, *shape[1:])) for one in each]
            raise not_by_the_batch(failed, out, alone, "the image or the noise has the wrong factor") from None


def precision(probe: Probe, rng: Generator) -> None:
    abar, (x0, noise) = schedule(rng), torch.randn(2, 2, 1, 4, 4, generator=rng)
    t = torch.randint(len(abar), (2,), generator=rng)
    out = noised(probe, x0, t, noise, abar.double())
    out.tensor((2, 1, 4, 4))
    if out.dtype != torch.float32:
        raise Failed(
            f"float32 images come out as {out.dtype} when alphas_cumprod is float64: cast abar[t] to x_0.dtype before "
            "multiplying, or the network will fail on x_t with a dtype error"
        )
    exact = noised(probe, x0.double(), t, noise.double(), abar.double())
    exact.tensor((2, 1, 4, 4))
    if exact.dtype != torch.float64:
        raise Failed(f"float64 images come out as {exact.dtype}: q_sample(x_0.double(), …) should stay in float64")


def device(probe: Probe, rng: Generator) -> None:
    abar, (x0, noise) = schedule(rng), torch.randn(2, 2, 1, 4, 4, generator=rng)
    keeps_device(probe, NOISY, x0, torch.randint(len(abar), (2,), generator=rng), noise, abar, seed=seed_of(rng))
