"""Predict the velocity v = sqrt(abar)·eps - sqrt(1 - abar)·x0 (Salimans & Ho 2022, appendix D)."""

from torch import Tensor


def compute_training_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: dict[str, Tensor]) -> Tensor:
    """Noise where the image is clear, the image where there is only noise."""
    shape = (-1, *[1] * (x_0.dim() - 1))
    a = schedule["sqrt_alpha"][timesteps].view(shape)  # (B,) -> (B, 1, ...)
    s = schedule["sqrt_one_minus_alpha"][timesteps].view(shape)
    return a * noise - s * x_0


def predict_x0(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: dict[str, Tensor]) -> Tensor:
    """a·x_t - s·v = (a² + s²)·x_0 + (a·s - s·a)·noise: no division, so no timestep is ill-posed."""
    shape = (-1, *[1] * (x_t.dim() - 1))
    a = schedule["sqrt_alpha"][timesteps].view(shape)  # (B,) -> (B, 1, ...)
    s = schedule["sqrt_one_minus_alpha"][timesteps].view(shape)
    return a * x_t - s * model_output
