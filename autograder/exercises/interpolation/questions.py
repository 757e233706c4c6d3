"""The questions of the interpolation exercise: calls of its functions, one of them with a known model."""

from typing import Any

import torch
from torch import Tensor, nn

from autograder.child import functions
from autograder.child.functions import Reply
from ddpm_core.schedule import DiffusionSchedule

SHOWN = 400  # images kept, plus at most the rest of one call


class Model(nn.Module):
    """The exact denoiser of images that are normal around a picture linear in their embedding.

    x0 ~ N(mu, spread²) with mu = class_emb @ paint, so the expected noise in xt is
    sqrt(1 - abar)·(xt - sqrt(abar)·mu) / (abar·spread² + 1 - abar). With spread 0, every sampler ends at mu.
    """

    def __init__(self, table: nn.Parameter, paint: nn.Parameter, spread: Tensor, abar: Tensor):
        super().__init__()
        self.class_emb, self.paint = nn.Embedding(*table.shape), paint
        self.class_emb.weight = table
        self.register_buffer("spread", spread)
        self.register_buffer("abar", abar)
        self.null_class = len(table) - 1
        self.times: set[int] = set()
        self.shown: list[tuple[Tensor, Tensor]] = []  # timesteps and images of the first calls

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
        if sum(len(x) for _, x in self.shown) < SHOWN:
            self.shown.append((t.detach()[:1].clone(), x.detach().clone()))
        t = (t + torch.zeros_like(x.flatten(1)[:, 0])).long()  # as in a network, t must be on x's device
        a = self.abar.gather(0, t)[:, None, None, None]  # (B, 1, 1, 1)
        mu = (class_emb @ self.paint).view(x.shape)  # (B, D) @ (D, C·H·W)
        return (1 - a).sqrt() * (x - a.sqrt() * mu) / (a * self.spread**2 + 1 - a)


def call(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """functions.call, with a model and a schedule among the arguments if their tensors are sent.

    Also returns the timesteps at which the model was called (`times` in the header), and for the first calls the
    timestep (`times`, a tensor) and the images (`shown0`, `shown1`, …).
    """
    if "model.table" not in x:
        return functions.call(answers, header, x)
    abar = x["schedule.alphas_cumprod"]
    x |= {name: nn.Parameter(x[name]) for name in ("model.table", "model.paint")}
    model = Model(x["model.table"], x["model.paint"], x["model.spread"], abar).eval()
    about, out = functions.call(answers, header, x, {"model": model, "schedule": DiffusionSchedule(abar)})
    if out and model.shown:
        out |= {"times": torch.cat([t for t, _ in model.shown])}
        out |= {f"shown{i}": x for i, (_, x) in enumerate(model.shown)}
    return about | {"times": sorted(model.times)[:2000]}, out
