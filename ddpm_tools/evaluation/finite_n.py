"""How the Fréchet distance depends on the number of images, and its limit for infinitely many. The estimate's bias
falls as 1/n and differs between models, so that a larger n can reverse a ranking (Chong & Forsyth 2020). There are two
remedies: compare only results of the same n, which `results.compare` enforces, or extrapolate to 1/n = 0."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import linear_regression

import torch
from torch import Tensor

from ddpm_core.metrics.distances import Moments
from ddpm_core.streams import stream
from ddpm_tools.evaluation.resampling import frechet_resampler


@dataclass(frozen=True)
class Extrapolation:
    """A straight line in 1/n through distances at several n."""

    limit: float  # the distance at 1/n = 0
    slope: float  # slope of the distance against 1/n
    sizes: tuple[int, ...]  # the numbers of images n
    values: tuple[float, ...]  # the distance at each of these n


def distances_by_n(
    distance: Callable[[Tensor], float], indices: Tensor, sizes: Sequence[int], seed: int, draws: int = 4
) -> list[float]:
    """The distance of subsets of `indices` (N,) of each size, drawn without replacement and averaged over draws."""
    rng, values = stream(seed, "sizes"), []
    for size in sizes:
        count = 1 if size == len(indices) else draws
        subsets = [indices[torch.randperm(len(indices), generator=rng)[:size]] for _ in range(count)]
        values.append(sum(map(distance, subsets)) / count)
    return values


def line(sizes: Sequence[int], values: Sequence[float]) -> tuple[float, float]:
    """Least squares of values against 1/n: (value at 1/n = 0, slope)."""
    slope, limit = linear_regression([1 / n for n in sizes], values)
    return limit, slope


def extrapolate(
    features: Tensor, reference: Moments, seed: int = 0, points: int = 6, share: float = 0.4, draws: int = 4
) -> Extrapolation:
    """FD-infinity (Chong & Forsyth 2020, section 4): a line through the distances at `points` sizes from share · n to
    n. The reference's own finite number of images is not corrected for. The 1/n law holds only if the smallest size is
    well above the feature dimension; ValueError if it is not."""
    n, dimension = features.shape
    sizes = torch.linspace(share * n, n, points).round().int().tolist()
    if sizes[0] < 2 * dimension:
        raise ValueError(
            f"extrapolating to infinitely many images needs at least {int(2 * dimension / share)} with {dimension} "
            f"features, not {n}; draw more, or use a network with fewer features"
        )
    values = distances_by_n(frechet_resampler(features, reference), torch.arange(n), sizes, seed, draws)
    return Extrapolation(*line(sizes, values), tuple(sizes), tuple(values))
