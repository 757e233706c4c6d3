"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), from nearest neighbours. A
set's manifold is the union of balls around its images, each with the distance to the k-th neighbour as its radius."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_core.streams import stream


def pairwise(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (N, M) by differences, not inner products, so that equal images have distance zero."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def radii(own: Tensor, k: int) -> Tensor:
    """Distance of each image to its k-th neighbour, not counting the image itself, from distances (N, N)."""
    if len(own) <= k:
        raise ValueError(f"{k} neighbours need more than {k} images, got {len(own)}")
    return own.kthvalue(k + 1, dim=1).values  # the first is the image itself, at distance zero


@dataclass(frozen=True)
class Manifold:
    """Distances among and between generated and real images. Precision and density are means over the generated images;
    recall and coverage are functions of the selected generated images, for their error bars."""

    own: Tensor  # (N, N) among the generated images
    cross: Tensor  # (N, M) from generated to real images
    real: Tensor  # (M, M) among the real images

    @classmethod
    def of(cls, generated: Tensor, real: Tensor, most: int = 2000, seed: int = 0) -> Manifold:
        """From features (N, D), (M, D). Results depend on both N and M; above `most`, a random subset is used."""
        x, y = generated.float(), real.float()
        orders = [torch.randperm(len(f), generator=stream(seed, "manifold", i)) for i, f in enumerate((x, y))]
        x, y = (f[order[:most].sort().values] for f, order in zip((x, y), orders))
        return cls(pairwise(x, x), pairwise(x, y), pairwise(y, y))

    def inside(self, k: int) -> Tensor:
        """(N, M) bool: whether generated image i lies in the ball around real image j."""
        return self.cross <= radii(self.real, k)

    def precision(self, k: int = 3) -> Tensor:
        """For each generated image, whether it lies in the real manifold; the mean is precision (eq. 3)."""
        return self.inside(k).any(1).double()

    def density(self, k: int = 5) -> Tensor:
        """For each generated image, the number of real balls around it, divided by k; the mean is density (eq. 4)."""
        return self.inside(k).double().sum(1) / k

    def recall(self, k: int = 3) -> Callable[[Tensor], float]:
        """Of generated indices (n,): the share of real images in their manifold (eq. 4 of the first paper)."""

        def statistic(index: Tensor) -> float:
            reach = radii(self.own[index][:, index], k)  # (n,)
            return float((self.cross[index] <= reach[:, None]).any(0).double().mean())

        return statistic

    def coverage(self, k: int = 5) -> Callable[[Tensor], float]:
        """Of generated indices (n,): the share of real images whose ball contains one of them (eq. 5)."""
        inside = self.inside(k)
        return lambda index: float(inside[index].any(0).double().mean())
