"""Real digits at MNIST's size, shipped with the course: no download."""

import numpy as np
import torch

from ddpm_core.config import DATA_DIR
from ddpm_core.data import ImageData

DIGITS28 = DATA_DIR / "digits28/digits28.npz"  # made by scripts/mnist_digits.py


def digits28(split: str = "train") -> ImageData:
    """The first 10,000 training images of MNIST, 28×28 grey: `train` holds 8,000 of them and `heldout` the other 2,000,
    stratified by class, as for the 8×8 digits; `all` is both."""
    from sklearn.model_selection import train_test_split

    with np.load(DIGITS28) as arrays:
        images, labels = arrays["images"], arrays["labels"]  # (N, 28, 28) and (N,), uint8
    everything = np.arange(len(labels))
    train, heldout = train_test_split(everything, test_size=0.2, random_state=0, stratify=labels)
    index = {"train": train, "heldout": heldout, "all": everything}[split]
    pictures, classes = torch.from_numpy(images[index])[:, None], torch.from_numpy(labels[index]).long()
    return ImageData("digits28", split, pictures, classes, tuple("0123456789"))
