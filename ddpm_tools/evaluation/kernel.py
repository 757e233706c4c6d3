"""Kernel Inception distance (Bińkowski et al. 2018): unbiased at every n, so it suits small sets."""

import torch
from torch import Tensor

from ddpm_core.streams import stream
from ddpm_tools.evaluation.estimates import Estimate, interval

LARGEST = 4000  # images in the error bar's kernel matrix; for more, the bar from this many is scaled to n


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N, M): the cubic kernel (x·y / D + 1)^3 (section 4.1)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def unbiased(kxx: Tensor, kyy: Tensor, kxy: Tensor) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3)."""
    n, m = kxy.shape
    own = (kxx.sum() - kxx.trace()) / (n * (n - 1)) + (kyy.sum() - kyy.trace()) / (m * (m - 1))
    return float(own - 2 * kxy.mean())


def kid(x: Tensor, y: Tensor, seed: int = 0, subsets: int = 100, size: int = 1000) -> float:
    """Mean over random subsets of `size` images of each set (N, D), (M, D), as published; can be negative. If a set is
    not larger than a subset, all of it is used each time. ValueError with fewer than two images."""
    x, y = x.double(), y.double()
    m = min(size, len(x), len(y))
    if m < 2:
        raise ValueError(f"the kernel distance needs at least two images in each set, got {len(x)} and {len(y)}")
    if m == len(x) == len(y):
        subsets = 1  # every subset would be the whole set
    rng, total = stream(seed, "kid"), 0.0
    for _ in range(subsets):
        a = x[torch.randperm(len(x), generator=rng)[:m]]
        b = y[torch.randperm(len(y), generator=rng)[:m]]
        total += unbiased(kernel(a, a), kernel(b, b), kernel(a, b))
    return total / subsets


def kid_estimate(x: Tensor, y: Tensor, repeats: int = 100, seed: int = 0, size: int = 1000) -> Estimate:
    """kid ± 1.96 bootstrap standard errors over the images of x. Pairs of an image with its own copy are left out,
    which keeps the bootstrap unbiased."""
    rng = stream(seed, "kid bootstrap")
    rows = torch.randperm(len(x), generator=rng)[:LARGEST]
    a, b = x[rows].double(), y[torch.randperm(len(y), generator=rng)[:LARGEST]].double()
    kaa, towards = kernel(a, a), kernel(a, b).mean(1)  # (n, n), (n,)
    kaa.fill_diagonal_(0)
    n = len(a)
    counts = torch.stack([torch.randint(n, (n,), generator=rng).bincount(minlength=n) for _ in range(repeats)])
    w = counts.double()  # (repeats, n)
    pairs = n * n - w.square().sum(1)  # sum of w_i w_j over i ≠ j
    draws = ((w @ kaa) * w).sum(1) / pairs - 2 * (w @ towards) / n  # the term in y alone is the same in all
    return interval(kid(x, y, seed, size=size), draws.std().item() * (n / len(x)) ** 0.5, low=float("-inf"))
