"""A small classifier: its accuracy on requested labels is adherence, its features carry the Fréchet distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from ddpm_core.checkpoint import CheckpointError, read, write
from ddpm_core.config import from_dict, to_dict
from ddpm_core.data import ImageData, load_data
from ddpm_core.streams import stream


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
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


@torch.no_grad()
def classify(classifier: Classifier, images: Tensor, batch_size: int = 500) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) -> predicted classes (N,) and features (N, D), in batches."""
    feats = torch.cat([classifier.features(x) for x in images.split(batch_size)])  # (N, D)
    return classifier.head(feats).argmax(1), feats


def train_classifier(
    data: ImageData, config: ClassifierConfig, steps: int = 1500, seed: int = 0
) -> Iterator[tuple[Classifier, float]]:
    """Train with shifts of one pixel and a little noise; yields (classifier, loss) after every step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Classifier(config)
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    for step in range(steps):
        rng = stream(seed, "classifier", step)
        index = torch.randint(len(data), (128,), generator=rng)
        dx, dy = torch.randint(-1, 2, (2,), generator=rng).tolist()
        x = F.pad(data.floats(index), (1, 1, 1, 1), value=-1)[..., 1 + dy : 1 + dy + data.images.shape[2], :]
        x = x[..., 1 + dx : 1 + dx + data.images.shape[3]]  # (B, C, H, W), shifted by at most one pixel
        x = x + 0.1 * torch.randn(x.shape, generator=rng)
        loss = F.cross_entropy(model.train()(x), data.labels[index], label_smoothing=0.05)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        decay.step()
        yield model.eval(), loss.item()


def save_classifier(path: Path | str, model: Classifier, **about: object) -> Path:
    """Weights and config, with what is said about them (data, seed, command, held-out accuracy)."""
    return write(path, model.state_dict(), to_dict(model.config), **about)


def load_classifier(path: Path | str) -> Classifier:
    """A classifier in eval mode; CheckpointError where the file is missing, damaged or something else."""
    tensors, record = read(path)
    try:
        model = Classifier(from_dict(ClassifierConfig, record["config"]))
        model.load_state_dict(tensors)
    except (ValueError, TypeError, RuntimeError) as e:
        raise CheckpointError(f"{path} is not a classifier of this version; train one with `ddpm classifier`") from e
    return model.eval().requires_grad_(False)


def fit_and_save(name: str, out: Path | str, seed: int, steps: int = 1500, progress: bool = True) -> float:
    """Train on the training split, measure on the held-out split, save with its provenance; returns the accuracy."""
    train, heldout = load_data(name, "train"), load_data(name, "heldout")
    shape = train.images.shape[1:]
    config = ClassifierConfig(shape[0], shape[1], len(train.classes))
    for model, _ in tqdm(train_classifier(train, config, steps, seed), total=steps, unit="step", disable=not progress):  # noqa: B007
        pass
    accuracy = float((classify(model, heldout.floats())[0] == heldout.labels).double().mean())
    about = {"data": name, "n_train": len(train), "n_heldout": len(heldout), "seed": seed, "heldout_accuracy": accuracy}
    about["command"] = f"ddpm classifier --data {name} --seed {seed} --steps {steps} --out {out}"
    save_classifier(out, model, provenance=about)
    return accuracy
