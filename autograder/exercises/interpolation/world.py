"""A model and a schedule for which the right row of images is known.

The model is the exact denoiser of images that are normal around a picture linear in the class embedding. Without
spread, every sampler ends exactly at that picture; with spread, at the picture plus a multiple of the initial noise.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import Returned, Seeded, Thing, call
from autograder.exercises.levels import Shown

ROW = "interpolate_classes"
THINGS = Thing("model"), Thing("schedule")
SHAPE = (2, 5, 4)
CLASSES, DIM = 7, 6
STEPS = 9  # does not divide T


def arc(a: Tensor, b: Tensor, alphas: Tensor) -> Tensor:
    """(N, D) float64: direction on the arc (Shoemake 1985), length linear. For vectors that have an arc."""
    a, b, alphas = a.double(), b.double(), alphas.double()[:, None]
    u, v = F.normalize(a, dim=0), F.normalize(b, dim=0)
    angle = torch.acos((u @ v).clamp(-1, 1))
    turned = (torch.sin((1 - alphas) * angle) * u + torch.sin(alphas * angle) * v) / torch.sin(angle)
    return ((1 - alphas) * a.norm() + alphas * b.norm()) * turned


@dataclass(frozen=True)
class World:
    """A model and a schedule, as tensors."""

    table: Tensor  # (K + 1, D), the last row is the null class's
    paint: Tensor  # (D, C·H·W)
    spread: Tensor  # ()
    abar: Tensor  # (T,)
    shape: tuple[int, ...]

    def picture(self, emb: Tensor) -> Tensor:
        """(N, D) -> (N, C, H, W)."""
        return (emb.double() @ self.paint.double()).view(-1, *self.shape)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What the child builds its model and its schedule from."""
        model = {"model.table": self.table, "model.paint": self.paint, "model.spread": self.spread}
        return model | {"schedule.alphas_cumprod": self.abar}


def world(
    rng: Generator, spread: float = 0.0, null: bool = True, size: float = 0.15, shape: tuple[int, ...] = SHAPE
) -> World:
    """A new world. Its pictures are at most this large, so that guidance up to 5 stays within [-1, 1]."""
    count = int(torch.randint(200, 400, (), generator=rng))
    table = torch.randn(CLASSES + 1, DIM, generator=rng)
    table[-1] *= null
    paint = torch.randn(DIM, shape[0] * shape[1] * shape[2], generator=rng)
    pictures = table @ paint
    paint = paint * size / (pictures.abs().max() + (pictures - pictures[-1]).abs().max())
    betas = torch.linspace(0.1, 20, count, dtype=torch.float64) / count
    return World(table, paint, torch.tensor(spread), torch.cumprod(1 - betas, 0).float(), shape)


def two(rng: Generator) -> tuple[int, int]:
    """Two different classes."""
    a, b = torch.randperm(CLASSES, generator=rng)[:2].tolist()
    return a, b


def asked(
    probe: Probe, w: World, classes: tuple[int, int], count: int, generator: int | None, seed: int = 0, **kwargs: Any
) -> Returned:
    """The row (num_interp, C, H, W), and the rest of the child's reply."""
    kwargs = {"num_steps": STEPS, "generator": None if generator is None else Seeded(generator), **kwargs}
    kwargs = {k: v for k, v in kwargs.items() if v is not None}
    return call(probe, ROW, *THINGS, *classes, count, w.shape, besides=w.tensors, seed=seed, **kwargs)


def ask(
    probe: Probe, w: World, classes: tuple[int, int], count: int, generator: int | None, seed: int = 0, **kwargs: Any
) -> tuple[Tensor, dict]:
    """The images in float64, and the child's report; Failed if the images break the contract."""
    row = asked(probe, w, classes, count, generator, seed, **kwargs)
    images = row.tensor((count, *w.shape), torch.float32)
    row.unchanged()
    return finite(images, f"{ROW}'s images").double(), row.about


def shown(row: Returned, w: World) -> Shown:
    """What the model was given at which timestep, as far as the child kept it."""
    times = row.of_each_call("times")
    if times is None or times.is_floating_point():
        raise Failed("the model is never called: print t in a call with num_steps=5")
    found = []
    for i, t in enumerate(times.clamp(0, len(w.abar) - 1).tolist()):
        x = row.after.get(f"shown{i}")
        if x is None or x.dim() != 4 or tuple(x.shape[1:]) != w.shape or not x.is_floating_point():
            raise Failed("the model is given images whose shape is not image_shape: print x.shape at every call")
        found.append((t, x))
    return found
