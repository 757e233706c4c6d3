"""The questions of the interpolation exercise: calls of its functions, one of them with a model of the parent's."""

from typing import Any

import torch
from torch import Tensor, nn

from autograder.child import functions
from autograder.child.functions import Reply
from autograder.child.remote import Evaluate, Remote
from ddpm_core.schedule import DiffusionSchedule


class Model(nn.Module):
    """Holds the classes' embeddings, which an answer works with. The noise is predicted by the parent (world.py)."""

    def __init__(self, table: nn.Parameter, remote: Remote):
        super().__init__()
        self.class_emb = nn.Embedding(*table.shape)
        self.class_emb.weight = table
        self.weight, self.remote = remote.weight, remote
        self.null_class = len(table) - 1

    def embed_class(self, labels: Tensor) -> Tensor:
        return self.class_emb(labels)  # (B,) -> (B, D)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        labels = torch.full_like(t, self.null_class) if labels is None else labels
        return self.forward_with_cond(x, t, self.embed_class(labels))

    def forward_with_cond(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        """x (B, C, H, W), t (B,), class_emb (B, D) -> eps (B, C, H, W)."""
        return self.remote(x=x, t=t, class_emb=class_emb)["eps"]


def call(
    answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor], evaluate: Evaluate | None = None
) -> Reply:
    """functions.call, with a model and a schedule among the arguments if the parent serves a model."""
    if evaluate is None:
        return functions.call(answers, header, x)
    x |= {name: nn.Parameter(x[name]) for name in ("model.table", "model.weight")}
    model = Model(x["model.table"], Remote(evaluate, x["model.weight"])).eval()
    schedule = DiffusionSchedule(x["schedule.alphas_cumprod"])
    return functions.call(answers, header, x, {"model": model, "schedule": schedule})
