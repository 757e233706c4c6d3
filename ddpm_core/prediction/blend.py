"""Predict (1 - abar)·eps + abar·v: the velocity where the image is clear, the noise where there is little else."""

from torch import Tensor


def compute_training_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: dict[str, Tensor]) -> Tensor:
    """The weight of v is abar."""
    shape = (-1, *[1] * (x_0.dim() - 1))
    abar = schedule["alphas_cumprod"][timesteps].view(shape)  # (B,) -> (B, 1, ...)
    a = schedule["sqrt_alpha"][timesteps].view(shape)
    s = schedule["sqrt_one_minus_alpha"][timesteps].view(shape)
    return (1 - abar) * noise + abar * (a * noise - s * x_0)


def predict_x0(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: dict[str, Tensor]) -> Tensor:
    """noise = (x_t - a·x_0) / s and v = (a·x_t - x_0) / s put into the target, and solved for x_0."""
    shape = (-1, *[1] * (x_t.dim() - 1))
    abar = schedule["alphas_cumprod"][timesteps].view(shape)  # (B,) -> (B, 1, ...)
    a = schedule["sqrt_alpha"][timesteps].view(shape)
    s = schedule["sqrt_one_minus_alpha"][timesteps].view(shape)
    return ((1 - abar + abar * a) * x_t - s * model_output) / ((1 - abar) * a + abar)
