"""A flow known in closed form, and how an answer is asked to follow it."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from autograder.child.protocol import Tensors
from autograder.exercises import served
from autograder.exercises.base import Failed, Probe, finite, returned
from autograder.exercises.calls import Returned, Thing, call
from autograder.exercises.served import Served

SHAPES = ((3, 2, 4, 5), (1, 1, 3, 3), (4, 4, 4, 4), (5, 2))  # images, and points in the plane
FAR = 100.0  # times the usual range, where a clamp shows
TRY = "with field = lambda x, t: 0 * x + t, xt = torch.zeros(1, 1), t = torch.tensor(1.0), t_next = torch.tensor(0.5)"


@dataclass(frozen=True)
class Flow:
    """Images with normally distributed pixels, carried to noise on the straight path."""

    mean: Tensor  # (C, H, W)
    width: Tensor  # (C, H, W)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What the child gets: nothing of the field."""
        return {"field.weight": torch.ones(1)}

    def served(self) -> Served:
        """The field for one request."""
        return Served(self.answer, self.tensors)

    def answer(self, x: Tensor, t: Tensor) -> Tensors:
        """The field: dx/dt at x (B, C, H, W) and t, a 0-d tensor. It rejects inputs that do not fit."""
        served.images("the field", x, tuple(self.mean.shape))
        if t.dim():
            raise ValueError(f"the field expects one time, a 0-d tensor, but got t of shape {tuple(t.shape)}")
        return {"v": self.velocity(x, float(t)).to(x.dtype)}

    def velocity(self, x: Tensor, t: float) -> Tensor:
        """E[eps - x0 | x] in float64: a regression between normal variables."""
        mean, variance = self.mean.double(), self.width.double() ** 2
        return (t - (1 - t) * variance) / ((1 - t) ** 2 * variance + t**2) * (x.double() - (1 - t) * mean) - mean

    def arrival(self, noise: Tensor) -> Tensor:
        """Where the flow carries noise from t = 1 to t = 0: an affine map between two normal distributions."""
        return self.mean.double() + self.width.double() * noise.double()

    def euler(self, x: Tensor, t: float, s: float) -> Tensor:
        return x.double() + (s - t) * self.velocity(x, t)

    def heun(self, x: Tensor, t: float, s: float) -> Tensor:
        return x.double() + (s - t) * (self.velocity(x, t) + self.velocity(self.euler(x, t, s), s)) / 2


def draw(rng: Generator, shape: tuple[int, ...]) -> Flow:
    return Flow(2 * torch.rand(shape, generator=rng) - 1, 0.3 + 0.6 * torch.rand(shape, generator=rng))


def hops(rng: Generator, up: bool) -> list[tuple[float, float]]:
    """(t, t_next): long and short steps in one direction; the first covers the whole path."""
    u = torch.rand(4, generator=rng).tolist()
    down = [(1.0, 0.0), (1.0, 0.2 + 0.5 * u[0]), (0.3 + 0.2 * u[1], 0.0), (0.9 - 0.2 * u[2], 0.55 - 0.2 * u[3])]
    return [(round(s, 4), round(t, 4)) if up else (round(t, 4), round(s, 4)) for t, s in down]


def step(probe: Probe, name: str, flow: Flow, xt: Tensor, t: float, s: float, **more: object) -> Returned:
    moments = torch.tensor(t, dtype=xt.dtype), torch.tensor(s, dtype=xt.dtype)
    more = {"rename": ("field", "xt", "t", "t_next"), "served": flow.served(), **more}
    return call(probe, name, Thing("field"), xt, *moments, **more)


def walked(probe: Probe, name: str, flow: Flow, start: Tensor, count: int) -> Tensor:
    """Where `count` equal steps from t = 1 to t = 0 end, in float64."""
    times = torch.linspace(1, 0, count + 1, dtype=torch.float64)
    about, out = probe.both("walk", {**flow.tensors, "start": start, "times": times}, flow.served(), name=name)
    if "out" not in out:
        raise Failed(f"{name} returns {returned(about)} instead of a tensor")
    if out["out"].shape != start.shape:
        raise Failed(
            f"{name} changes the shape of the points after several steps: the result must have the shape of xt"
        )
    return finite(out["out"].double(), f"the result after {count} steps")
