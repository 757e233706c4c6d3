"""A model and a schedule for which the right row of images is known.

The model is the exact denoiser of images that are normal around a picture linear in the class embedding: x0 ~ N(mu,
spread²) with mu = class_emb @ paint, so the expected noise in xt is sqrt(1 - abar)·(xt - sqrt(abar)·mu) /
(abar·spread² + 1 - abar). Without spread, every sampler ends exactly at that picture; with spread, at the picture plus
a multiple of the initial noise.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from autograder.child.protocol import Tensors
from autograder.exercises import served
from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import Returned, Seeded, Thing, call
from autograder.exercises.levels import Shown
from autograder.exercises.served import Served

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
    early: Tensor | None = None  # another paint for the upper half of the timesteps: only later predictions are right

    def picture(self, emb: Tensor) -> Tensor:
        """(N, D) -> (N, C, H, W)."""
        return (emb.double() @ self.paint.double()).view(-1, *self.shape)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What the child gets: a schedule, and of the model only the embeddings."""
        model = {"model.table": self.table, "model.weight": torch.ones(1)}
        return model | {"schedule.alphas_cumprod": self.abar}

    def served(self) -> Served:
        """The model for one request."""
        return Served(self.answer, self.tensors)

    def answer(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensors:
        """The model; like a trained network, it rejects inputs that do not fit together."""
        served.images("the model", x, self.shape)
        if tuple(t.shape) != (len(x),) or tuple(class_emb.shape) != (len(x), len(self.paint)):
            raise ValueError(
                f"forward_with_cond was called with x {tuple(x.shape)}, t {tuple(t.shape)}, class_emb "
                f"{tuple(class_emb.shape)}; t must be (B,) and class_emb (B, D) for these x"
            )
        t = served.whole("the model", "t", t.long(), len(x), len(self.abar))  # 3.0 will do, as in the course's network
        a = self.abar.double()[t].view(-1, 1, 1, 1)
        picture = self.picture(class_emb)
        if self.early is not None:
            before = (class_emb.double() @ self.early.double()).view(x.shape)
            picture = torch.where((t < len(self.abar) // 2).view(-1, 1, 1, 1), picture, before)
        noise = x.double() - a.sqrt() * picture
        eps = (1 - a).sqrt() * noise / (a * self.spread.double() ** 2 + 1 - a)
        return {"eps": eps.to(torch.promote_types(x.dtype, torch.float32))}


def world(
    rng: Generator,
    spread: float = 0.0,
    null: bool = True,
    size: float = 0.15,
    shape: tuple[int, ...] = SHAPE,
    turns: bool = False,
) -> World:
    """A new world. Its pictures are at most this large, so that guidance up to 5 stays within [-1, 1].

    `turns`: halfway down the model turns to other pictures, at which any sampler arrives if it follows it to the end.
    """
    count = int(torch.randint(200, 400, (), generator=rng))
    table = torch.randn(CLASSES + 1, DIM, generator=rng)
    table[-1] *= null
    paint = torch.randn(DIM, shape[0] * shape[1] * shape[2], generator=rng)
    pictures = table @ paint
    paint = paint * size / (pictures.abs().max() + (pictures - pictures[-1]).abs().max())
    betas = torch.linspace(0.1, 20, count, dtype=torch.float64) / count
    abar = torch.cumprod(1 - betas, 0).float()
    early = paint[:, torch.randperm(paint.shape[1], generator=rng)] if turns else None  # as large
    return World(table, paint, torch.tensor(spread), abar, shape, early)


def two(rng: Generator) -> tuple[int, int]:
    """Two different classes."""
    a, b = torch.randperm(CLASSES, generator=rng)[:2].tolist()
    return a, b


def asked(
    probe: Probe, w: World, classes: tuple[int, int], count: int, generator: int | None, seed: int = 0, **kwargs: Any
) -> Returned:
    """The row (num_interp, C, H, W), with what the model was asked."""
    kwargs = {"num_steps": STEPS, "generator": None if generator is None else Seeded(generator), **kwargs}
    kwargs = {k: v for k, v in kwargs.items() if v is not None}
    return call(probe, ROW, *THINGS, *classes, count, w.shape, seed=seed, served=w.served(), **kwargs)


def ask(
    probe: Probe, w: World, classes: tuple[int, int], count: int, generator: int | None, seed: int = 0, **kwargs: Any
) -> tuple[Tensor, list[int]]:
    """The images in float64, and all timesteps at which the model was called; Failed if the images break the
    contract."""
    row = asked(probe, w, classes, count, generator, seed, **kwargs)
    images = row.tensor((count, *w.shape), torch.float32)
    row.unchanged()
    return finite(images, f"{ROW}'s images").double(), times_of(row)


def times_of(row: Returned) -> list[int]:
    """All timesteps at which the model was called, ascending, each once."""
    return sorted({t for asked in row.asked for t in asked["t"].long().tolist()})


def shown(row: Returned) -> Shown:
    """What the model was given at which timestep; Failed if it was never called."""
    if not row.asked:
        raise Failed("the model is never called: print t in a call with num_steps=5")
    return [(t, torch.cat([asked["x"][asked["t"].long() == t] for asked in row.asked])) for t in times_of(row)]
