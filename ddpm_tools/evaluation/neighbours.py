"""Does the model remember? Distances in pixels from generated images to the nearest training image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_core.data import ImageData, to_float
from ddpm_core.streams import stream

QUANTILE = 0.05  # share of held-out images nearer than the limit, and about the share expected of honest samples
HONEST = 2000  # images that set the limit: enough for a 5 % quantile


@dataclass(frozen=True)
class Neighbours:
    """For each image, the nearest training image and its distance: root mean square over pixels in [-1, 1]."""

    index: Tensor  # (N,), index of the nearest training image
    distance: Tensor  # (N,), distance to that image

    def copies(self, limit: float) -> Tensor:
        """(N,), 1 if the image is nearer to a training image than 95 % of unseen real images are."""
        return (self.distance < limit).double()


def nearest(images: Tensor, train: Tensor, chunk: int = 2000) -> Neighbours:
    """The nearest of train (M, C, H, W) to each of images (N, C, H, W), both uint8, in chunks to limit memory."""
    best, index = torch.full((len(images),), float("inf")), torch.zeros(len(images), dtype=torch.long)
    for some in torch.arange(len(images)).split(chunk):
        x = to_float(images[some]).flatten(1)
        for others in torch.arange(len(train)).split(chunk):
            y = to_float(train[others]).flatten(1)
            d = x.square().sum(1)[:, None] - 2 * x @ y.T + y.square().sum(1)  # (n, m), squared
            value, at = d.min(1)
            nearer = value < best[some]
            best[some] = torch.where(nearer, value, best[some])
            index[some] = torch.where(nearer, others[at], index[some])
        # Again by differences: inner products lose small distances, which are the ones that matter here
        best[some] = (x - to_float(train[index[some]]).flatten(1)).square().mean(1)
    return Neighbours(index, best.sqrt())


def copy_limit(train: ImageData, heldout: ImageData | None = None, seed: int = 0) -> float:
    """The distance below which 5 % of unseen real images lie: held-out ones, or a tenth of the training images."""
    seen = heldout or train
    most = len(seen) if heldout else len(seen) // 10
    order = torch.randperm(len(seen), generator=stream(seed, "honest"))
    pick = order[: min(HONEST, most)]
    others = train.images if heldout else train.images[order[len(pick) :]]
    return float(nearest(seen.images[pick], others).distance.quantile(QUANTILE))
