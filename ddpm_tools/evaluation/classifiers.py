"""Classifiers of both kinds (`plain_classifier`, `resnet`): loading, and training on data by name."""

from pathlib import Path

import torch
from tqdm.auto import tqdm

from ddpm_core import checkpoint
from ddpm_core.data import ImageData
from ddpm_core.metrics.adherence import classify
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation import plain_classifier as classifier
from ddpm_tools.evaluation.plain_classifier import Classifier, ClassifierConfig, save_classifier, train_classifier
from ddpm_tools.evaluation.resnet import ResNet, ResNetConfig, ResNetTraining, train_resnet

SMALL = 16  # pixels: the plain network up to this size, the residual one above

AnyClassifier = Classifier | ResNet


def load_classifier(path: Path | str) -> AnyClassifier:
    """A classifier of either kind in eval mode; CheckpointError if the file is not one."""
    if "widths" in checkpoint.read(path)[1]["config"]:
        return classifier.load_classifier(path, ResNetConfig, ResNet)
    return classifier.load_classifier(path)


def accuracy(model: AnyClassifier, data: ImageData) -> float:
    """The share of images classified correctly, computed in chunks."""
    hits = [(classify(model, data.floats(i))[0] == data.labels[i]).sum() for i in torch.arange(len(data)).split(500)]
    return float(torch.stack(hits).sum()) / len(data)


def splits(name: str, heldout: str | None) -> tuple[ImageData, ImageData]:
    """The data to train on and to measure on; ValueError if the two are the same pictures."""
    train = load_data(name, "all" if heldout else "train")
    held = load_data(heldout, "all") if heldout else load_data(name, "heldout")
    if train.images.shape == held.images.shape and torch.equal(train.images, held.images):
        raise ValueError(f"{name} has no held-out part; name pictures to measure on with --heldout")
    if train.images.shape[1:] != held.images.shape[1:] or train.classes != held.classes:
        both = f"{name} and {heldout}"
        raise ValueError(f"{both} differ in picture size or classes; they must be parts of one data set")
    return train, held


def fit_and_save(
    name: str, out: Path | str, seed: int, steps: int | None = None, progress: bool = True, heldout: str | None = None
) -> float:
    """Train on the training split, measure on the held-out split, save with its provenance; returns the accuracy."""
    train, held = splits(name, heldout)
    channels, size = train.images.shape[1:3]
    shape = {"image_channels": channels, "image_size": size, "num_classes": len(train.classes)}
    small = size <= SMALL
    steps = steps or (1500 if small else ResNetTraining.steps)
    if small:
        run = train_classifier(train, ClassifierConfig(**shape), steps, seed)
    else:
        flip = channels == 3  # grey pictures may be letters or digits, which must not be mirrored
        run = train_resnet(train, ResNetConfig(**shape), ResNetTraining(steps=steps, flip=flip), seed)
    for model, _ in tqdm(run, total=steps, unit="step", disable=not progress):  # noqa: B007
        pass
    if not small:
        model = model.half().float()  # saved in float16, half the size; the accuracy is that of the saved weights
    told = accuracy(model, held)
    about = {"data": train.name, "n_train": len(train), "n_heldout": len(held), "seed": seed, "heldout_accuracy": told}
    options = f" --heldout {Path(heldout).name}" if heldout else ""
    about["command"] = f"ddpm classifier --data {Path(name).name}{options} --seed {seed} --steps {steps} --out {out}"
    save_classifier(out, model if small else model.half(), classes=list(train.classes), provenance=about)
    return told
