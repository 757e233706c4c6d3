"""The Fréchet distance of many subsets of one set of images, for error bars and extrapolation."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_core.metrics.distances import Moments, psd_root


def frechet_resampler(features: Tensor, reference: Moments) -> Callable[[Tensor], float]:
    """A function of indices (M,): frechet_distance(Moments.of(features[indices]), reference), but with the common work
    done once, such as the root of the reference's covariance. With fewer distinct images than dimensions, the n × n
    matrix of inner products replaces the D × D covariance: both have the same nonzero eigenvalues."""
    x = features.double()
    x = x - reference.mean  # distances stay the same, and the sums below lose fewer digits
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
