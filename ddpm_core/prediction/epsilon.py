"""Predict the noise (Ho et al. 2020)."""

from torch import Tensor


def compute_training_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: dict[str, Tensor]) -> Tensor:
    """The noise itself (eq. 14)."""
    return noise


def predict_x0(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: dict[str, Tensor]) -> Tensor:
    """Subtract the noise, undo the shrinking (eq. 15): an error of the network grows by 1 / sqrt(abar)."""
    shape = (-1, *[1] * (x_t.dim() - 1))
    a = schedule["sqrt_alpha"][timesteps].view(shape)  # (B,) -> (B, 1, ...)
    s = schedule["sqrt_one_minus_alpha"][timesteps].view(shape)
    return (x_t - s * model_output) / a
