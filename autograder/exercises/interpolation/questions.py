"""The questions of the interpolation exercise: calls of a function, and rows of images from a known model."""

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from autograder.child.fake_device import FakeDevice
from autograder.child.functions import Reply, call
from ddpm_core.schedule import DiffusionSchedule

__all__ = ["call", "row"]


class Model(nn.Module):
    """The exact denoiser of images that are normal around a linear picture of their embedding.

    x0 ~ N(mu, spread²) with mu = class_emb @ paint, so that the noise to expect in xt is
    sqrt(1 - abar)·(xt - sqrt(abar)·mu) / (abar·spread² + 1 - abar). With spread 0 every sampler arrives at mu.
    """

    def __init__(self, table: Tensor, paint: Tensor, spread: Tensor, abar: Tensor):
        super().__init__()
        self.class_emb, self.paint = nn.Embedding.from_pretrained(table, freeze=False), nn.Parameter(paint)
        self.register_buffer("spread", spread)
        self.register_buffer("abar", abar)
        self.null_class = len(table) - 1
        self.times: set[int] = set()

    def embed_class(self, labels: Tensor) -> Tensor:
        return self.class_emb(labels)  # (B,) -> (B, D)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        labels = torch.full_like(t, self.null_class) if labels is None else labels
        return self.forward_with_cond(x, t, self.embed_class(labels))

    def forward_with_cond(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        """x (B, C, H, W), t (B,), class_emb (B, D) -> eps (B, C, H, W)."""
        asked = (len(x),), (len(x), self.paint.shape[0])
        if tuple(t.shape) != asked[0] or tuple(class_emb.shape) != asked[1]:
            raise ValueError(
                f"forward_with_cond was called with x {tuple(x.shape)}, t {tuple(t.shape)}, class_emb "
                f"{tuple(class_emb.shape)}; t must be (B,) and class_emb (B, D) for these x"
            )
        self.times.update(int(i) for i in t)
        t = (t + torch.zeros_like(x.flatten(1)[:, 0])).long()  # as in a network, t meets x's device
        a = self.abar.gather(0, t)[:, None, None, None]  # (B, 1, 1, 1)
        mu = (class_emb @ self.paint).view(x.shape)  # (B, D) @ (D, C·H·W)
        return (1 - a).sqrt() * (x - a.sqrt() * mu) / (a * self.spread**2 + 1 - a)


def row(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """interpolate_classes with the model that `table`, `paint`, `spread` and `abar` describe -> out, the weights after.

    `generator` is the seed of the generator that is passed, or None; `seed` that of the global random stream.
    """
    model = Model(x["table"].clone(), x["paint"].clone(), x["spread"], x["abar"]).eval()
    schedule = DiffusionSchedule(x["abar"])
    seed = header.get("generator")
    rest = dict(header["kwargs"])
    if seed is not None:
        rest["generator"] = torch.Generator().manual_seed(seed)
    torch.manual_seed(header["seed"])
    place = FakeDevice([*model.parameters(), *model.buffers()])
    with place if header.get("elsewhere") else contextlib.nullcontext():
        out = answers["interpolate_classes"](model, schedule, *header["args"], tuple(header["shape"]), **rest)
    about: dict[str, Any] = {"kind": type(out).__name__, "elsewhere": place.holds(out)}
    about["times"] = sorted(model.times)[:2000]
    if not isinstance(out, Tensor):
        return about, {}
    after = {"in.table": model.class_emb.weight, "in.paint": model.paint, "in.abar": x["abar"]}
    return about | {"kind": "Tensor"}, {"out": out, **after}
