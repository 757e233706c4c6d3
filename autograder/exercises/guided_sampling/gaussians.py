"""A world with a known right answer: in each class, every pixel is normally distributed.

The model that an answer calls predicts the noise in such images without any error. So the right result is known,
however an answer gets there.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from autograder.child.protocol import Tensors
from autograder.exercises import served
from autograder.exercises.served import Served


@dataclass(frozen=True)
class Gaussians:
    mean: Tensor  # (K + 1, C, H, W), the null class last
    variance: Tensor  # (K + 1,)
    abar: Tensor  # (T,)
    early: Tensor | None = None  # other means for the upper half of the timesteps: only later predictions are right

    @property
    def null(self) -> int:
        """K, the null class's index."""
        return len(self.variance) - 1

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """What the child gets: a schedule, and nothing of the model but its null class."""
        model = {"model.weight": torch.ones(1), "model.null_class": torch.tensor(self.null)}
        return model | {"schedule.alphas_cumprod": self.abar}

    def served(self) -> Served:
        """The model for one request."""
        return Served(self.answer, self.tensors)

    def answer(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensors:
        """The model; like a trained network, it rejects inputs that do not fit together."""
        served.images("the model", x, tuple(self.mean.shape[1:]))
        if x.dtype != self.mean.dtype:
            raise TypeError(f"the model's weights have dtype {self.mean.dtype}, but x has dtype {x.dtype}")
        t = served.whole("the model", "t", t, len(x), len(self.abar))
        return {"eps": self.eps(x, t, served.whole("the model", "labels", labels, len(x), self.null + 1)).to(x.dtype)}

    def eps(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """The noise to expect in x (B, C, H, W) at t (B,), in images of the classes y (B,)."""
        abar, variance = (v.double()[i].view(-1, 1, 1, 1) for v, i in ((self.abar, t), (self.variance, y)))
        mean = self.mean.double()[y]
        if self.early is not None:
            mean = torch.where((t < len(self.abar) // 2).view(-1, 1, 1, 1), mean, self.early.double()[y])
        return (1 - abar).sqrt() * (x.double() - abar.sqrt() * mean) / (abar * variance + 1 - abar)

    def guided(self, x: Tensor, t: Tensor, y: Tensor, w: float) -> Tensor:
        """w = 0 is unconditional, w = 1 conditional (Ho & Salimans 2022, eq. 6, with their w + 1)."""
        without, with_ = self.eps(x, t, torch.full_like(y, self.null)), self.eps(x, t, y)
        return without + w * (with_ - without)

    def centre(self, y: Tensor, w: float) -> Tensor:
        """Where guided samples lie, (B, C, H, W): if all variances are equal, the guided noise is that of another
        normal distribution, with this mean and the same variance, whatever the sampler."""
        null = self.mean[self.null].double()
        return null + w * (self.mean[y].double() - null)


def means(rng: Generator, k: int, shape: tuple[int, ...], apart: float) -> Tensor:
    """Of k classes and the null class, (K + 1, C, H, W)."""
    null = 0.6 * torch.rand(1, *shape, generator=rng) - 0.3
    step = apart * (0.5 + 0.5 * torch.rand(k, *shape, generator=rng))  # never zero
    sign = torch.randint(2, step.shape, generator=rng) * 2 - 1
    return torch.cat([null + sign * step, null])


def draw(
    rng: Generator, shape: tuple[int, ...], spread: float | None = None, apart: float = 1.0, turns: bool = False
) -> Gaussians:
    """A world of 4 to 9 classes, never ten as with the digits. `spread`: one standard deviation for all classes.

    `apart`: how far a class may lie from the null class, pixel by pixel; the null class lies within 0.3 of 0. `turns`:
    halfway down the model turns to other images, at which any sampler arrives if it follows the model to the end.
    """
    k = int(torch.randint(4, 10, (), generator=rng))
    steps = int(torch.randint(60, 160, (), generator=rng))
    u = (torch.arange(steps).double() + 1) / steps
    abar = (torch.cos((u + 0.01) / 1.02 * math.pi / 2) ** 2).float()  # (T,), ends near 2e-4
    mean = means(rng, k, shape, apart)
    variance = 0.05 + torch.rand(k + 1, generator=rng) if spread is None else torch.full((k + 1,), spread**2)
    return Gaussians(mean, variance, abar, means(rng, k, shape, apart) if turns else None)


def labels_of(rng: Generator, g: Gaussians, count: int) -> Tensor:
    """Labels (count,), all different as far as possible, and not in order."""
    y = torch.randperm(g.null, generator=rng)
    y[:2] = y[:2].sort(descending=True).values
    return y.repeat(-(-count // g.null))[:count]
