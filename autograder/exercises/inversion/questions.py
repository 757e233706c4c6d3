"""Questions for answers that call a denoiser. The denoiser itself is the parent's (world.py)."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

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


def call(
    answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor], evaluate: Evaluate | None = None
) -> Reply:
    """functions.call, with a denoiser and a schedule among the arguments if the parent serves a denoiser."""
    if evaluate is None:
        return functions.call(answers, header, x)
    remote = Remote(evaluate, x["denoiser.weight"])

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        out = remote(xt=xt, t=t)
        return out["x0_hat"], out["eps"]

    return functions.call(answers, header, x, {"denoise": denoise, "schedule": Schedule(x["schedule.alphas_cumprod"])})
