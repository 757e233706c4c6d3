"""A Parameterization from two plain functions, as the prediction exercise and the prediction track ask for them."""

from collections.abc import Callable

from torch import Tensor

from ddpm_core.parameterization import Parameterization, Target
from ddpm_core.schedule import DiffusionSchedule

PlainFunction = Callable[[Tensor, Tensor, Tensor, dict[str, Tensor]], Tensor]  # the schedule as its `as_dict()`


def from_functions(name: str, compute_training_target: PlainFunction, predict_x0: PlainFunction) -> Parameterization:
    """A pair of the prediction track: `compute_training_target(x_0, noise, timesteps, schedule)` and
    `predict_x0(model_output, x_t, timesteps, schedule)`, `schedule` being `DiffusionSchedule.as_dict()`. The result's
    functions raise ValueError where one of the two returns another shape than that of the images."""

    def checked(function: PlainFunction, what: str) -> Target:
        def call(first: Tensor, second: Tensor, t: Tensor, schedule: DiffusionSchedule) -> Tensor:
            out = function(first, second, t, schedule.as_dict())
            if not isinstance(out, Tensor) or out.shape != first.shape:
                got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
                raise ValueError(f"{what} must return a tensor of the shape {tuple(first.shape)}, got {got}")
            return out

        return call

    target = checked(compute_training_target, "compute_training_target")
    return Parameterization(name, target, checked(predict_x0, "predict_x0"))
