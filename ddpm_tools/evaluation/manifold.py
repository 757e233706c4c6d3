"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), from nearest neighbours. A
set's manifold is the union of balls around its images, each reaching to the image's k-th neighbour in the set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_core.streams import stream


def pairwise(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (N, M) by differences, not by inner products: two equal images have distance zero."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def radii(own: Tensor, k: int) -> Tensor:
    """Distance of each image to its k-th neighbour, the image itself not counted, from distances (N, N)."""
    if len(own) <= k:
        raise ValueError(f"{k} neighbours need more than {k} images, got {len(own)}")
    return own.kthvalue(k + 1, dim=1).values  # the nearest is the image itself, at distance zero


@dataclass(frozen=True)
class Manifold:
    """Distances among and between generated and real images. Precision and density are means over the generated images;
    recall and coverage come as functions of which of these count, for their error bars."""

    own: Tensor  # (N, N) among the generated
    cross: Tensor  # (N, M) from generated to real
    real: Tensor  # (M, M) among the real

    @classmethod
    def of(cls, generated: Tensor, real: Tensor, most: int = 2000, seed: int = 0) -> Manifold:
        """From features (N, D), (M, D): the results depend on both numbers; above `most`, random ones are taken."""
        x, y = generated.float(), real.float()
        orders = [torch.randperm(len(f), generator=stream(seed, "manifold", i)) for i, f in enumerate((x, y))]
        x, y = (f[order[:most].sort().values] for f, order in zip((x, y), orders))
        return cls(pairwise(x, x), pairwise(x, y), pairwise(y, y))

    def inside(self, k: int) -> Tensor:
        """(N, M) bool: generated image i lies in the ball around real image j."""
        return self.cross <= radii(self.real, k)

    def precision(self, k: int = 3) -> Tensor:
        """For each generated image whether it lies in the real manifold; the mean is precision (eq. 3)."""
        return self.inside(k).any(1).double()

    def density(self, k: int = 5) -> Tensor:
        """For each generated image in how many real balls it lies, over k; the mean is density (eq. 4)."""
        return self.inside(k).double().sum(1) / k

    def recall(self, k: int = 3) -> Callable[[Tensor], float]:
        """Of the generated images at indices (n,), the share of real ones in their manifold (eq. 4 of the first)."""

        def statistic(index: Tensor) -> float:
            reach = radii(self.own[index][:, index], k)  # (n,)
            return float((self.cross[index] <= reach[:, None]).any(0).double().mean())

        return statistic

    def coverage(self, k: int = 5) -> Callable[[Tensor], float]:
        """Of the generated images at indices (n,), the share of real ones whose ball holds one (eq. 5)."""
        inside = self.inside(k)
        return lambda index: float(inside[index].any(0).double().mean())
