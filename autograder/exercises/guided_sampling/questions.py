"""Questions for answers that call a model. The model itself is the parent's (gaussians.py)."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from autograder.child import functions
from autograder.child.functions import Reply
from autograder.child.remote import Evaluate, Remote


@dataclass(frozen=True)
class Schedule:
    """The part of a schedule that the task documents."""

    alphas_cumprod: Tensor  # (T,)

    @property
    def timesteps(self) -> int:
        return len(self.alphas_cumprod)


class Model(nn.Module):
    """model(x, t, labels) -> eps, predicted by the parent."""

    def __init__(self, remote: Remote, null_class: int):
        super().__init__()
        self.weight, self.remote, self.null_class = remote.weight, remote, null_class

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return self.remote(x=x, t=t, labels=labels)["eps"]


def call(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor], evaluate: Evaluate) -> Reply:
    """functions.call, with a model and a schedule among the arguments."""
    x["model.weight"] = nn.Parameter(x["model.weight"])
    model = Model(Remote(evaluate, x["model.weight"]), int(x["model.null_class"]))
    return functions.call(answers, header, x, {"model": model, "schedule": Schedule(x["schedule.alphas_cumprod"])})
