"""Fréchet distance between two sets of features, and diversity within the classes of one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def finite(features: Tensor, start: int = 0) -> Tensor:
    """Features (N, D) in float64; ValueError names the first that is not finite, counting images from `start`."""
    if len(bad := (~torch.isfinite(features)).nonzero()):
        i, d = bad[0].tolist()
        raise ValueError(
            f"feature {d} of image {start + i} is not finite; look for broken pictures, or for a diverged network"
        )
    return features.double()


@dataclass(frozen=True)
class Moments:
    """Mean (D,) and covariance (D, D) of n feature vectors, float64."""

    mean: Tensor
    cov: Tensor
    n: int

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """ValueError if there are fewer than two vectors (N, D), or one is not finite."""
        f = finite(features)
        if len(f) < 2:
            raise ValueError(f"moments need at least two feature vectors, got {len(f)}")
        return cls(f.mean(0), torch.cov(f.T), len(f))


def psd_root(cov: Tensor) -> Tensor:
    """Symmetric square root of a positive semi-definite matrix; eigenvalues rounded below zero become zero."""
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mu_a - mu_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) (Heusel et al. 2017, eq. 6), in symmetric form.

    A^1/2 B A^1/2 has the eigenvalues of AB but is symmetric, so no complex matrix root is needed.
    """
    root = psd_root(a.cov)
    cross = torch.linalg.eigvalsh(root @ b.cov @ root).clamp(min=0).sqrt().sum()
    return float((a.mean - b.mean).square().sum() + a.cov.trace() + b.cov.trace() - 2 * cross)


def diversity(features: Tensor, labels: Tensor) -> float:
    """Mean within-class standard deviation: the root of the within-class covariance's trace, averaged over classes.

    Zero if all images of each class are the same. Classes with fewer than two images are ignored.
    """
    groups = [features[labels == y] for y in labels.unique()]
    spreads = [g.double().var(0).sum().sqrt() for g in groups if len(g) > 1]
    return float(torch.stack(spreads).mean()) if spreads else float("nan")
