"""Predict the clean image."""

from torch import Tensor


def compute_training_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: dict[str, Tensor]) -> Tensor:
    """The image itself: nothing to learn where there is little noise, since the input shows it."""
    return x_0


def predict_x0(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: dict[str, Tensor]) -> Tensor:
    """The output as it is."""
    return model_output
