"""Classifiers of either kind: loaded, and trained from data by name.

A plain network (`plain_classifier.py`) for pictures up to 16 pixels, a residual one (`resnet.py`) above.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from ddpm_core import checkpoint
from ddpm_core.data import ImageData
from ddpm_core.metrics.adherence import classify
from ddpm_core.streams import stream
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation import plain_classifier as classifier
from ddpm_tools.evaluation.plain_classifier import Classifier, ClassifierConfig, save_classifier
from ddpm_tools.evaluation.resnet import ResNet, ResNetConfig, ResNetTraining, train_resnet

SMALL = 16  # pixels: up to here the plain network, above the residual one

AnyClassifier = Classifier | ResNet


def load_classifier(path: Path | str) -> AnyClassifier:
    """A classifier of either kind in eval mode; CheckpointError where the file is not one."""
    if "widths" in checkpoint.read(path)[1]["config"]:
        return classifier.load_classifier(path, ResNetConfig, ResNet)
    return classifier.load_classifier(path)


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
