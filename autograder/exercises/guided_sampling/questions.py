"""Questions for answers that call a model: the course's own, built here from arrays that the parent drew.

The model predicts, without any error, the noise in images of class y whose pixels are normally distributed around
mean[y] with variance[y]. So the parent can compute the right result, however an answer gets there. What the answer
asked of the model is returned with the result.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.child import functions
from autograder.child.functions import Reply

SHOWN = 4000  # images kept, from the first calls, whether they have one image each or many


@dataclass(frozen=True)
class Schedule:
    """The part of a schedule that the task documents."""

    alphas_cumprod: Tensor  # (T,)

    @property
    def timesteps(self) -> int:
        return len(self.alphas_cumprod)


class Model(nn.Module):
    """model(x, t, labels) -> eps; like a trained network, it rejects inputs that do not fit together."""

    def __init__(self, mean: Tensor, variance: Tensor, abar: Tensor):
        """mean (K + 1, C, H, W) and variance (K + 1,), the null class last; abar (T,)."""
        super().__init__()
        self.mean, self.variance = mean, variance
        self.register_buffer("abar", abar)
        self.calls = 0
        self.times: list[Tensor] = []
        self.shown: list[Tensor] = []

    @property
    def null_class(self) -> int:
        return len(self.variance) - 1

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        self._check(x, t, labels)
        self.calls += 1
        self.times.append(t.detach()[0].clone())
        kept = sum(map(len, self.shown))
        self.shown += [x.detach().clone()] if kept + len(x) <= SHOWN else []
        pairs = (t, self.abar), (labels, self.variance)
        abar, variance = (F.embedding(i, v[:, None])[..., None, None] for i, v in pairs)  # (B, 1, 1, 1)
        mean = F.embedding(labels, self.mean.flatten(1)).view(-1, *self.mean.shape[1:])  # (B, C, H, W)
        return (1 - abar).sqrt() * (x - abar.sqrt() * mean) / (abar * variance + 1 - abar)

    def _check(self, x: Tensor, t: Tensor, labels: Tensor) -> None:
        if x.dim() != 4 or x.shape[1:] != self.mean.shape[1:]:
            wanted = ", ".join(map(str, self.mean.shape[1:]))
            raise ValueError(f"the model expects images of shape (B, {wanted}), but got x of shape {tuple(x.shape)}")
        if x.dtype != self.mean.dtype:
            raise TypeError(f"the model's weights have dtype {self.mean.dtype}, but x has dtype {x.dtype}")
        for name, given, end in (("t", t, len(self.abar)), ("labels", labels, len(self.variance))):
            got = tuple(given.shape)
            if got != (len(x),):
                raise ValueError(f"the model expects one of {name} for each image, shape ({len(x)},), but got {got}")
            if given.is_floating_point():
                raise TypeError(f"the model expects whole numbers for {name}, but got {given.dtype}")
            if int(given.min()) < 0 or int(given.max()) >= end:
                wrong = next(int(v) for v in given.tolist() if not 0 <= v < end)
                raise IndexError(f"the model takes {name} from 0 to {end - 1}, but got {wrong}")


def call(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """functions.call, with a model and a schedule among the arguments.

    Also returns the number of model calls, the timestep of each (`times`), and the images of the first calls
    (`shown0`, `shown1`, …).
    """
    for name in ("model.mean", "model.variance"):
        x[name] = nn.Parameter(x[name])
    model = Model(x["model.mean"], x["model.variance"], x["schedule.alphas_cumprod"])
    things = {"model": model, "schedule": Schedule(x["schedule.alphas_cumprod"])}
    about, out = functions.call(answers, header, x, things)
    about["calls"] = model.calls
    if out and model.calls:
        out |= {"times": torch.stack(model.times)}
        out |= {f"shown{i}": x for i, x in enumerate(model.shown)}
    return about, out
