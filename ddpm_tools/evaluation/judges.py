"""Judges of an image's class: classifiers that never saw the generated images and did not train the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError, Loaded
from ddpm_core.data import ImageData
from ddpm_tools.datasets.load import OURS
from ddpm_tools.datasets.vision import TORCHVISION
from ddpm_tools.evaluation.classifiers import AnyClassifier, load_classifier
from ddpm_tools.evaluation.features import COURSE, shipped

KNOWN_CLASSES = {**dict.fromkeys(OURS, tuple("0123456789")), **TORCHVISION}


@dataclass(frozen=True)
class Judge:
    """A classifier with its name and the digest of its weights."""

    name: str  # such as digits-classifier
    version: str  # digest of its weights
    model: AnyClassifier  # images (B, C, H, W) in [-1, 1] -> logits (B, K)
    heldout_accuracy: float | None = None  # on real images; higher adherence than this means nothing


def load_judge(path: Path | str, device: torch.device | str = "cpu") -> Judge:
    """A classifier's checkpoint as a judge; CheckpointError if it is not one."""
    about = checkpoint.read(path)[1].get("provenance", {})
    name = f"{checkpoint.stem(path).name}-classifier"
    return Judge(name, checkpoint.file_digest(path), load_classifier(path).to(device), about.get("heldout_accuracy"))


def fits(path: Path | str, image_shape: tuple[int, ...], classes: Sequence[str]) -> bool:
    """Whether a classifier was trained on these classes of images (C, H, W). CheckpointError if it is no classifier."""
    record = checkpoint.read(path)[1]
    try:
        channels, size, k = (record["config"][name] for name in ("image_channels", "image_size", "num_classes"))
    except (KeyError, TypeError) as e:
        raise CheckpointError(f"{path} is not a classifier; train one with `ddpm classifier`") from e
    known = record.get("classes") or list(map(str, range(k)))
    return (channels, size, size) == tuple(image_shape) and known == list(classes)


def known_classifier(image_shape: tuple[int, ...], classes: Sequence[str], path: Path | None = None) -> Path | None:
    """The classifier at `path`, else a shipped one for these classes and images (C, H, W), else None. It is found by
    its classes, not by the data's name: CIFAR-10 in a zip of any name is still CIFAR-10. ValueError if the one at
    `path` is for others."""
    candidates = [path] if path else [COURSE / name for name in shipped()]
    found = next((c for c in candidates if fits(c, image_shape, classes)), None)
    if path and not found:
        raise ValueError(f"{path} was trained on other classes, or another picture size, than those of the images")
    return found


def find_judge(data: ImageData, path: Path | None = None, device: torch.device | str = "cpu") -> Judge | None:
    """The `known_classifier` of these data as a judge, if there is one."""
    found = known_classifier(data.images.shape[1:], data.classes, path)
    return load_judge(found, device) if found else None


def classes_of(loaded: Loaded) -> tuple[str, ...]:
    """Class names from the checkpoint, else by the name of its data, else numbers; "any" if there are no classes."""
    if not (k := loaded.preset.unet.num_classes):
        return ("any",)
    told = loaded.record.get("provenance", {}).get("classes")
    if isinstance(told, list) and len(told) == k and all(isinstance(name, str) for name in told):
        return tuple(told)
    return KNOWN_CLASSES.get(loaded.preset.data) or tuple(map(str, range(k)))


def judge_of(loaded: Loaded, path: Path | None = None) -> Judge:
    """The classifier at `path`, else a shipped one for the model's classes; ValueError if there is none."""
    u, classes = loaded.preset.unet, classes_of(loaded)
    if found := known_classifier((u.image_channels, u.image_size, u.image_size), classes, path):
        return load_judge(found)
    remedy = "train one with `ddpm classifier` and pass it with --classifier"
    raise ValueError(f"no classifier has {loaded.preset.data}'s classes; {remedy}")
