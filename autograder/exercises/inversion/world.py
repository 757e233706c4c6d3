"""Images for which the right denoiser is known, and DDIM's way with it, forwards and backwards."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from autograder.child.protocol import Tensors
from autograder.exercises import served
from autograder.exercises.served import Served

SHAPE = (3, 2, 4, 5)


@dataclass(frozen=True)
class World:
    """Images with normally distributed pixels, for which the denoiser is exact."""

    mean: Tensor  # (C, H, W)
    width: Tensor  # (C, H, W)
    abar: Tensor  # (T,)
    drift: Tensor | None = None  # (T, C, H, W), added to the mean at each timestep: a prediction says nothing of others

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What the child gets: a schedule, and nothing of the denoiser."""
        return {"denoiser.weight": torch.ones(1), "schedule.alphas_cumprod": self.abar}

    def served(self) -> Served:
        """The denoiser for one request."""
        return Served(self.answer, self.tensors)

    def answer(self, xt: Tensor, t: Tensor) -> Tensors:
        """The denoiser; like one with a trained network, it rejects inputs that do not fit together."""
        served.images("the denoiser", xt, tuple(self.mean.shape))
        t = served.whole("the denoiser", "t", t, len(xt), len(self.abar)).view(-1, 1, 1, 1)
        a, eps = self.level(t), self.noise(xt.double(), t)
        return {"x0_hat": ((xt - (1 - a).sqrt() * eps) / a.sqrt()).to(xt.dtype), "eps": eps.to(xt.dtype)}

    def noise(self, x: Tensor, t: int | Tensor) -> Tensor:
        """The noise to expect in x (B, C, H, W) at t, one timestep for all or (B, 1, 1, 1)."""
        a, mean = self.level(t), self.mean.double()
        if self.drift is not None:
            mean = mean + self.drift.double()[t].reshape(-1, *mean.shape)  # (1 or B, C, H, W)
        return (1 - a).sqrt() * (x - a.sqrt() * mean) / (a * self.width.double() ** 2 + 1 - a)

    def level(self, t: int | Tensor | None) -> Tensor:
        """abar at t; 1 at None, the clean image."""
        return self.abar.double()[t] if t is not None else torch.ones((), dtype=torch.float64)

    def hop(self, x: Tensor, at: int | None, to: int | None, asked: int) -> Tensor:
        """DDIM's step from one noise level to another, with the eps that the denoiser predicts at timestep `asked`."""
        a, b, eps = self.level(at), self.level(to), self.noise(x, asked)
        return b.sqrt() * (x - (1 - a).sqrt() * eps) / a.sqrt() + (1 - b).sqrt() * eps

    def inverted(self, x0: Tensor, times: list[int]) -> Tensor:
        """Up through the (descending) times, from the clean image."""
        x, at = x0.double(), None
        for to in reversed(times):
            x, at = self.hop(x, at, to, to if at is None else at), to
        return x

    def sampled(self, z: Tensor, times: list[int]) -> Tensor:
        """DDIM down through the same times (Song et al. 2021, eq. 12)."""
        x = z.double()
        for at, to in zip(times, [*times[1:], None]):
            x = self.hop(x, at, to, at)
        return x

    def images(self, rng: Generator, count: int) -> Tensor:
        return self.mean + self.width * torch.randn(count, *self.mean.shape, generator=rng)


def draw(rng: Generator, shape: tuple[int, ...] = SHAPE, drifts: bool = False) -> World:
    """A world with a schedule of 60 to 120 timesteps, almost without noise at the first.

    `drifts`: at each timestep the denoiser knows other images.
    """
    steps = int(torch.randint(60, 120, (), generator=rng))
    u = (torch.arange(steps).double() + 0.6) / (steps + 1)
    abar = (torch.cos(u * math.pi / 2) ** 2).float()
    mean, width = torch.rand(shape[1:], generator=rng) - 0.5, 0.2 + 0.5 * torch.rand(shape[1:], generator=rng)
    return World(mean, width, abar, torch.rand(steps, *shape[1:], generator=rng) - 0.5 if drifts else None)
