"""The course's small classifier, for pictures up to 16 pixels; larger ones use the residual network in `resnet.py`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from ddpm_core.checkpoint import CheckpointError, read, write
from ddpm_core.config import from_dict, to_dict
from ddpm_core.data import ImageData
from ddpm_core.streams import stream


@dataclass(frozen=True)
class ClassifierConfig:
    """Shape and provenance of a course classifier."""

    image_channels: int = 1
    image_size: int = 8
    num_classes: int = 10
    width: int = 32  # channels of the first convolution; the others have twice as many
    features: int = 64  # few enough to estimate a covariance from a few hundred images


class Headed(nn.Module):
    """Images (B, C, H, W) in [-1, 1] -> features (B, D), by `body` -> logits (B, K), by `head`."""

    def features(self, x: Tensor) -> Tensor:
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Classifier(Headed):
    """The small network: 64 features."""

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


def save_classifier(path: Path | str, model: nn.Module, **about: object) -> Path:
    """Save weights and config, with `about` (data, classes, seed, command, held-out accuracy)."""
    return write(path, model.state_dict(), to_dict(model.config), **about)


def load_classifier(path: Path | str, config: type = ClassifierConfig, network: type[nn.Module] = Classifier) -> Any:
    """A `network` in eval mode; CheckpointError if the file is missing, damaged or something else."""
    tensors, record = read(path)
    try:
        model = network(from_dict(config, record["config"]))
        model.load_state_dict(tensors)  # also from float16, in which the residual network is saved
    except (ValueError, TypeError, RuntimeError) as e:
        raise CheckpointError(f"{path} is not a classifier of this version; train one with `ddpm classifier`") from e
    return model.eval().requires_grad_(False)


def seeded(make: Callable[[], nn.Module], seed: int) -> Any:
    """A network whose initial weights depend only on the seed; the global random state is unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def optimised(
    model: Any, opt: Optimizer, rate: LRScheduler, batches: Iterable[tuple[Tensor, Tensor]], smoothing: float
) -> Iterator[tuple[Any, float]]:
    """One step per batch of images (B, C, H, W) and labels (B,); yields (model, loss) after each."""
    for x, y in batches:
        loss = F.cross_entropy(model.train()(x), y, label_smoothing=smoothing)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        rate.step()
        yield model.eval(), loss.item()


def train_classifier(
    data: ImageData, config: ClassifierConfig, steps: int = 1500, seed: int = 0
) -> Iterator[tuple[Classifier, float]]:
    """Train with shifts of one pixel and a little noise; yields (classifier, loss) after every step."""
    model = seeded(lambda: Classifier(config), seed)
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(steps):
            rng = stream(seed, "classifier", step)
            index = torch.randint(len(data), (128,), generator=rng)
            dx, dy = torch.randint(-1, 2, (2,), generator=rng).tolist()
            x = F.pad(data.floats(index), (1, 1, 1, 1), value=-1)[..., 1 + dy : 1 + dy + data.images.shape[2], :]
            x = x[..., 1 + dx : 1 + dx + data.images.shape[3]]  # (B, C, H, W), shifted by at most one pixel
            yield x + 0.1 * torch.randn(x.shape, generator=rng), data.labels[index]

    return optimised(model, opt, CosineAnnealingLR(opt, steps), batches(), smoothing=0.05)
