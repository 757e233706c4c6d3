"""Data sets as uint8 images and labels. The handwritten digits of scikit-learn are always there, with no download."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CIFAR10_CLASSES = tuple(["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"])
FASHION_CLASSES = tuple(
    ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
)


@dataclass(frozen=True)
class ImageData:
    """Images (N, C, H, W) uint8, labels (N,) int64 and the classes' names."""

    name: str
    split: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def floats(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Images as float32 in [-1, 1]."""
        return self.images[index].float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] -> uint8; the inverse of ImageData.floats."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@lru_cache
def digits(split: str = "train") -> ImageData:
    """1,797 real handwritten digits, 8×8 grey (UCI Optical Recognition of Handwritten Digits, test part).

    `train` holds 1,437 of them and `heldout` the other 360, stratified by class; `all` is both.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw = load_digits()
    images = torch.from_numpy((raw.images * (255 / 16)).round().astype(np.uint8))[:, None]  # (N, 1, 8, 8)
    labels = torch.from_numpy(raw.target).long()
    train, heldout = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=0, stratify=raw.target)
    index = {"train": train, "heldout": heldout, "all": np.arange(len(labels))}[split]
    return ImageData("digits", split, images[index], labels[index], tuple("0123456789"))


def dataset_zip(path: Path, split: str = "train") -> ImageData:
    """A zip in the StyleGAN/EDM layout: images, and dataset.json with `labels` [[file, class], ...] and `classes`."""
    try:
        with zipfile.ZipFile(path) as z:
            meta = json.loads(z.read("dataset.json"))
            files, labels = zip(*meta["labels"])
            images = []
            for f in files:
                try:
                    images.append(np.asarray(Image.open(io.BytesIO(z.read(f))).convert("RGB")))
                except (OSError, KeyError) as e:
                    raise ValueError(f"{path}: the picture '{f}' cannot be read; replace or remove it") from e
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, TypeError) as e:
        raise ValueError(f"{path} is not a data set zip: it needs images and a dataset.json with `labels`") from e
    if len({i.shape for i in images}) > 1:
        raise ValueError(f"{path}: the pictures differ in size; resize them to one size")
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()  # (N, H, W, C) -> (N, C, H, W)
    classes = tuple(meta.get("classes") or map(str, range(max(labels) + 1)))
    return ImageData(path.stem, split, stacked, torch.tensor(labels), classes)


def torchvision_data(name: str, split: str, root: Path) -> ImageData:
    """Fashion-MNIST or CIFAR-10, downloaded once into `root` and verified by torchvision's checksums."""
    from torchvision import datasets

    cls, classes = {
        "fashion-mnist": (datasets.FashionMNIST, FASHION_CLASSES),
        "cifar10": (datasets.CIFAR10, CIFAR10_CLASSES),
    }[name]
    try:
        raw = cls(root, train=split != "heldout", download=True)
    except (OSError, RuntimeError) as e:
        raise ValueError(f"{name} is not in {root} and could not be downloaded; connect once, or use digits") from e
    images = torch.as_tensor(np.asarray(raw.data))
    images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()  # (N, C, H, W)
    return ImageData(name, split, images, torch.as_tensor(raw.targets).long(), classes)


def load_data(name: str, split: str = "train", root: Path = Path("build/datasets")) -> ImageData:
    """A data set by name (digits, fashion-mnist, cifar10) or the path of a data set zip, else ValueError."""
    if name == "digits":
        return digits(split)
    if name in ("fashion-mnist", "cifar10"):
        return torchvision_data(name, split, root)
    if Path(name).is_file():
        return dataset_zip(Path(name), split)
    raise ValueError(f"unknown data set '{name}'; known: digits, fashion-mnist, cifar10, or the path of a data set zip")
