"""Fashion-MNIST and CIFAR-10 through torchvision: downloaded once, checked against its checksums."""

import contextlib
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddpm_core.data import ImageData

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FASHION_CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
TORCHVISION = {"fashion-mnist": FASHION_CLASSES, "cifar10": CIFAR10_CLASSES}


def part(name: str, train: bool, root: Path) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) uint8 and labels (N,) of torchvision's training or test part."""
    from torchvision import datasets

    cls = {"fashion-mnist": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}[name]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints the addresses it tries
            raw = cls(root, train=train, download=True)
    except (OSError, RuntimeError, ValueError, AssertionError, EOFError) as e:
        raise ValueError(
            f"{name} is missing or incomplete in {root} and could not be downloaded: connect to the internet once, "
            f"delete {root} if a download was interrupted, or use digits, which need none"
        ) from e
    images = torch.as_tensor(np.asarray(raw.data))
    images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()  # (N, C, H, W)
    return images, torch.as_tensor(raw.targets).long()


def torchvision_data(name: str, split: str, root: Path) -> ImageData:
    """A split of a torchvision data set; `all` is both parts. ValueError if it cannot be downloaded."""
    which = {"train": (True,), "heldout": (False,), "all": (True, False)}[split]
    images, labels = (torch.cat(x) for x in zip(*(part(name, train, root) for train in which)))
    return ImageData(name, split, images, labels, TORCHVISION[name])
