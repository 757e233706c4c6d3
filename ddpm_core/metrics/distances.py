"""Fréchet distance between two sets of features, and diversity within the classes of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def finite(features: Tensor, start: int = 0) -> Tensor:
    """Features (N, D) in float64; ValueError names the first that is not finite, images counted from `start`."""
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
        """ValueError where there are fewer than two vectors (N, D), or one of them is not finite."""
        f = finite(features)
        if len(f) < 2:
            raise ValueError(f"moments need at least two feature vectors, got {len(f)}")
        return cls(f.mean(0), torch.cov(f.T), len(f))


def psd_root(cov: Tensor) -> Tensor:
    """Symmetric square root of a positive semi-definite matrix; rounding below zero is cut off."""
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mu_a - mu_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) (Heusel et al. 2017, eq. 6), in symmetric form.

    A^1/2 B A^1/2 has the eigenvalues of AB but is symmetric, so no complex matrix root is needed.
    """
    root = psd_root(a.cov)
    cross = torch.linalg.eigvalsh(root @ b.cov @ root).clamp(min=0).sqrt().sum()
    return float((a.mean - b.mean).square().sum() + a.cov.trace() + b.cov.trace() - 2 * cross)


def frechet_resampler(features: Tensor, reference: Moments) -> Callable[[Tensor], float]:
    """A function of indices (M,): frechet_distance(Moments.of(features[indices]), reference), without its common work.

    The reference's root is taken once. With fewer distinct images than dimensions, the n × n matrix of inner products
    stands in for the D × D covariance: both have the same eigenvalues besides zeros.
    """
    x = features.double()
    x = x - reference.mean  # distances do not change, and the sums below lose fewer digits
    y = x @ psd_root(reference.cov)  # (N, D): cov(y) = B^1/2 A B^1/2
    squares, trace = x.square().sum(1), reference.cov.trace()
    few = len(x) < x.shape[1]
    gram = y @ y.T if few else None  # (N, N)

    def distance(indices: Tensor) -> float:
        rows, times = indices.unique(return_counts=True)  # (R,), (R,)
        c, n = times.double(), len(indices)
        mean = c @ x[rows] / n
        if gram is not None:
            g = gram[rows][:, rows]  # (R, R)
            to_mean = g @ c / n  # y_i · ybar
            g = g - to_mean[:, None] - to_mean + c @ to_mean / n
            matrix = g * (c[:, None] * c).sqrt() / (n - 1)
        else:
            z = (y[rows] - c @ y[rows] / n) * c.sqrt()[:, None]
            matrix = z.T @ z / (n - 1)  # (D, D)
        cross = torch.linalg.eigvalsh(matrix).clamp(min=0).sqrt().sum()
        own = (c @ squares[rows] - n * mean.square().sum()) / (n - 1)
        return float(mean.square().sum() + own + trace - 2 * cross)

    return distance


def diversity(features: Tensor, labels: Tensor) -> float:
    """Mean within-class standard deviation: the root of the within-class covariance's trace, averaged over classes.

    Zero where every image of a class is the same. Classes with fewer than two images do not count.
    """
    groups = [features[labels == y] for y in labels.unique()]
    spreads = [g.double().var(0).sum().sqrt() for g in groups if len(g) > 1]
    return float(torch.stack(spreads).mean()) if spreads else float("nan")
