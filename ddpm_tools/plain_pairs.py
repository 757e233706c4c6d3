"""A Parameterization from two plain functions, in the form used by the prediction exercise and track."""

from collections.abc import Callable

from torch import Tensor

from ddpm_core.parameterization import Parameterization, Target
from ddpm_core.schedule import DiffusionSchedule

PlainFunction = Callable[[Tensor, Tensor, Tensor, dict[str, Tensor]], Tensor]  # the schedule as its `as_dict()`


def from_functions(name: str, compute_training_target: PlainFunction, predict_x0: PlainFunction) -> Parameterization:
    """A pair of the prediction track: `compute_training_target(x_0, noise, timesteps, schedule)` and
    `predict_x0(model_output, x_t, timesteps, schedule)`, where `schedule` is `DiffusionSchedule.as_dict()`. The
    resulting functions raise ValueError if either function's output does not have the shape of the images."""

    def checked(function: PlainFunction, what: str) -> Target:
        def call(first: Tensor, second: Tensor, t: Tensor, schedule: DiffusionSchedule) -> Tensor:
            out = function(first, second, t, schedule.as_dict())
            if not isinstance(out, Tensor) or out.shape != first.shape:
                got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
                raise ValueError(f"{what} must return a tensor of shape {tuple(first.shape)}, got {got}")
            return out

        return call

    target = checked(compute_training_target, "compute_training_target")
    return Parameterization(name, target, checked(predict_x0, "predict_x0"))
