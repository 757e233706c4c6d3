"""Data sets as uint8 images and labels. scikit-learn's handwritten digits are always available, without a download.

`ddpm_tools.datasets.load_data` reads your own pictures, and data sets that must be downloaded.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageData:
    """Images (N, C, H, W) uint8, labels (N,) int64, the names of the classes, and captions if the data have them.

    Images can also be floating-point, such as latents, and labels can be caption tokens (N, S): see
    `ddpm_tools.captions.tokenized`. ValueError if a label is missing or belongs to no class.
    """

    name: str
    split: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    captions: tuple[str, ...] = ()  # one per image, or none at all
    left_out: tuple[str, ...] = ()  # names of pictures that could not be read

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.images):
            raise ValueError(f"{self.name} has {len(self.images)} images and {len(self.labels)} labels; give one each")
        if self.classes and self.labels.dim() == 1 and len(self.labels):
            low, high = int(self.labels.min()), int(self.labels.max())
            if low < 0 or high >= len(self.classes):
                bad = low if low < 0 else high
                raise ValueError(f"{self.name} has the label {bad}; its classes are 0 to {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.images)

    def floats(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Images as float32 in [-1, 1]; floating-point images stay unchanged."""
        return to_float(self.images[index])


def to_float(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]; floating-point images stay unchanged."""
    return images if images.is_floating_point() else images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] -> uint8; the inverse of to_float."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@lru_cache
def digits(split: str = "train") -> ImageData:
    """1,797 real handwritten digits, 8×8 grey (UCI Optical Recognition of Handwritten Digits, test part).

    `train` has 1,437 of them and `heldout` the other 360, stratified by class; `all` has both.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw = load_digits()
    images = torch.from_numpy((raw.images * (255 / 16)).round().astype(np.uint8))[:, None]  # (N, 1, 8, 8)
    labels = torch.from_numpy(raw.target).long()
    train, heldout = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=0, stratify=raw.target)
    index = {"train": train, "heldout": heldout, "all": np.arange(len(labels))}[split]
    return ImageData("digits", split, images[index], labels[index], tuple("0123456789"))
