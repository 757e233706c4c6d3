"""The course's classifiers: accuracy on requested labels is adherence, features carry the Fréchet distance.

A plain network for pictures up to 16 pixels, a residual one (`resnet.py`) above.
"""

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
from ddpm_tools.evaluation.resnet import ResNet, ResNetConfig, ResNetTraining, train_resnet

SMALL = 16  # pixels: up to here the plain network, above the residual one


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


AnyClassifier = Classifier | ResNet


@torch.no_grad()
def classify(classifier: AnyClassifier, images: Tensor, batch_size: int = 500) -> tuple[Tensor, Tensor]:
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


def save_classifier(path: Path | str, model: AnyClassifier, **about: object) -> Path:
    """Weights and config, with what is said about them (data, classes, seed, command, held-out accuracy)."""
    return write(path, model.state_dict(), to_dict(model.config), **about)


def load_classifier(path: Path | str) -> AnyClassifier:
    """A classifier in eval mode; CheckpointError where the file is missing, damaged or something else."""
    tensors, record = read(path)
    residual = "widths" in record["config"]
    try:
        model = ResNet(from_dict(ResNetConfig, record["config"])) if residual else None
        model = model or Classifier(from_dict(ClassifierConfig, record["config"]))
        model.load_state_dict(tensors)  # also from float16, in which the residual one is saved
    except (ValueError, TypeError, RuntimeError) as e:
        raise CheckpointError(f"{path} is not a classifier of this version; train one with `ddpm classifier`") from e
    return model.eval().requires_grad_(False)


def accuracy(model: AnyClassifier, data: ImageData) -> float:
    """Share of the images whose class is found, in chunks."""
    hits = [(classify(model, data.floats(i))[0] == data.labels[i]).sum() for i in torch.arange(len(data)).split(500)]
    return float(torch.stack(hits).sum()) / len(data)


def splits(name: str, heldout: str | None) -> tuple[ImageData, ImageData]:
    """What to train on and what to measure on; ValueError where the two are the same pictures."""
    train = load_data(name, "all" if heldout else "train")
    held = load_data(heldout, "all") if heldout else load_data(name, "heldout")
    if train.images.shape == held.images.shape and torch.equal(train.images, held.images):
        raise ValueError(f"{name} has no held-out part; name pictures to measure on with --heldout")
    if train.images.shape[1:] != held.images.shape[1:] or train.classes != held.classes:
        raise ValueError(
            f"{name} and {heldout} differ in picture size or classes; the two must be parts of one data set"
        )
    return train, held


def fit_and_save(
    name: str, out: Path | str, seed: int, steps: int | None = None, progress: bool = True, heldout: str | None = None
) -> float:
    """Train on the training split, measure on the held-out split, save with its provenance; returns the accuracy."""
    train, held = splits(name, heldout)
    channels, size = train.images.shape[1:3]
    shape = {"image_channels": channels, "image_size": size, "num_classes": len(train.classes)}
    if size <= SMALL:
        steps = steps or 1500
        run = train_classifier(train, ClassifierConfig(**shape), steps, seed)
    else:
        steps = steps or ResNetTraining.steps
        flip = channels == 3  # grey pictures may be letters or digits, which have no mirror image
        run = train_resnet(train, ResNetConfig(**shape), ResNetTraining(steps=steps, flip=flip), seed)
    for model, _ in tqdm(run, total=steps, unit="step", disable=not progress):  # noqa: B007
        pass
    if isinstance(model, ResNet):
        model = model.half().float()  # saved in float16, half the size: the accuracy stated is that of what is saved
    told = accuracy(model, held)
    about = {"data": train.name, "n_train": len(train), "n_heldout": len(held), "seed": seed, "heldout_accuracy": told}
    options = f" --heldout {Path(heldout).name}" if heldout else ""
    about["command"] = f"ddpm classifier --data {Path(name).name}{options} --seed {seed} --steps {steps} --out {out}"
    kept = model.half() if isinstance(model, ResNet) else model
    save_classifier(out, kept, classes=list(train.classes), provenance=about)
    return told
