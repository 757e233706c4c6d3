"""A model and a schedule for which the right row of images is known.

The model is the exact denoiser of images that are normal around a picture which is linear in the class embedding. With
no spread every sampler ends in that picture, exactly; with some, in the picture plus a multiple of the initial noise.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import same

ROW = "interpolate_classes"
SHAPE = (2, 5, 4)
CLASSES, DIM = 7, 6
STEPS = 9  # which do not divide T


def arc(a: Tensor, b: Tensor, alphas: Tensor) -> Tensor:
    """(N, D) float64: the direction on the arc (Shoemake 1985), the length linearly. For vectors that have an arc."""
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
    def null(self) -> int:
        return len(self.table) - 1


def world(
    rng: Generator, spread: float = 0.0, null: bool = True, size: float = 0.15, shape: tuple[int, ...] = SHAPE
) -> World:
    """A new one. Its pictures are of this size at most, so that guidance up to 5 stays within [-1, 1]."""
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


def ask(
    probe: Probe, w: World, classes: tuple[int, int], count: int, generator: int | None, seed: int = 0, **kwargs: Any
) -> tuple[Tensor, dict]:
    """The row (num_interp, C, H, W), and what else the child says."""
    kwargs = {"num_steps": STEPS, **kwargs}
    sent = {"table": w.table, "paint": w.paint, "spread": w.spread, "abar": w.abar}
    header = {"args": [*classes, count], "shape": list(w.shape), "seed": seed, "generator": generator}
    about, out = probe.both("row", sent, **header, kwargs={k: v for k, v in kwargs.items() if v is not None})
    images = out.get("out")
    if images is None:
        kind = str(about.get("kind"))[:40]
        kind = "nothing (is the return missing?)" if kind == "NoneType" else f"a {kind}"
        raise Failed(f"{ROW} returns {kind} where a tensor is asked for")
    if tuple(images.shape) != (count, *w.shape):
        raise Failed(f"{ROW} returns shape {tuple(images.shape)} where {(count, *w.shape)} is asked for")
    if images.dtype != torch.float32:
        raise Failed(f"{ROW} returns {images.dtype} where torch.float32 is asked for")
    for name, what in (("table", "the model's weights"), ("paint", "the model's weights"), ("abar", "the schedule")):
        if not same(out.get(f"in.{name}", sent[name]), sent[name]):
            raise Failed(f"{ROW} changes {what}: read them only, the next row is drawn with the same model")
    return finite(images, f"{ROW}'s images").double(), about
