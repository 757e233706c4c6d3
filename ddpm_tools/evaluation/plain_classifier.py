"""The course's small classifier, for pictures up to 16 pixels; larger ones take the residual network of `resnet.py`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ddpm_core.checkpoint import CheckpointError, read, write
from ddpm_core.config import from_dict, to_dict


@dataclass(frozen=True)
class ClassifierConfig:
    """Shape and provenance of a course classifier."""

    image_channels: int = 1
    image_size: int = 8
    num_classes: int = 10
    width: int = 32
    features: int = 64  # few enough that a covariance can be estimated from some hundred images


class Classifier(nn.Module):
    """Images (B, C, H, W) in [-1, 1] -> features (B, 64) -> logits (B, K)."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        w = config.width
        self.body = nn.Sequential(
            nn.Conv2d(config.image_channels, w, 3, padding=1), nn.GroupNorm(8, w), nn.SiLU(),
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1), nn.GroupNorm(8, 2 * w), nn.SiLU(),  # (B, 2w, H/2, W/2)
            nn.Conv2d(2 * w, 2 * w, 3, padding=1), nn.GroupNorm(8, 2 * w), nn.SiLU(),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32 * w, config.features), nn.SiLU(),  # (B, 64)
        )  # fmt: skip
        self.head = nn.Linear(config.features, config.num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] -> (B, D), what the last linear layer sees."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def save_classifier(path: Path | str, model: nn.Module, **about: object) -> Path:
    """Weights and config, with what is said about them (data, classes, seed, command, held-out accuracy)."""
    return write(path, model.state_dict(), to_dict(model.config), **about)


def load_classifier(path: Path | str, config: type = ClassifierConfig, network: type[nn.Module] = Classifier) -> Any:
    """A `network` in eval mode; CheckpointError where the file is missing, damaged or something else."""
    tensors, record = read(path)
    try:
        model = network(from_dict(config, record["config"]))
        model.load_state_dict(tensors)  # also from float16, in which the residual one is saved
    except (ValueError, TypeError, RuntimeError) as e:
        raise CheckpointError(f"{path} is not a classifier of this version; train one with `ddpm classifier`") from e
    return model.eval().requires_grad_(False)
