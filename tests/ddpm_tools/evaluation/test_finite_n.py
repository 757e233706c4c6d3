import pytest
import torch

from ddpm_core.metrics.distances import Moments
from ddpm_tools.evaluation.estimates import bootstrap
from ddpm_tools.evaluation.finite_n import distances_by_n, extrapolate, line
from ddpm_tools.evaluation.resampling import frechet_resampler


def test_the_line_is_the_least_squares_line():
    limit, slope = line([100, 200, 400, 800], [3 + 50 / n for n in (100, 200, 400, 800)])
    assert (limit, slope) == pytest.approx((3, 50))


def test_the_limit_is_the_distance_that_infinitely_many_images_have(rng):
    """A Gaussian of known distance: the estimate at n is far off, the extrapolation is not."""
    d = 16
    reference = Moments(torch.zeros(d).double(), torch.eye(d).double(), 10**9)
    truth = d * (0.2**2 + 0.1**2)
    plain, limits = [], []
    for i in range(10):
        x = 1.1 * torch.randn(320, d, generator=rng) + 0.2
        plain.append(frechet_resampler(x, reference)(torch.arange(320)))
        limits.append(extrapolate(x, reference, seed=i, draws=8).limit)
    bias = sum(plain) / 10 - truth
    assert bias > 0.2 and abs(sum(limits) / 10 - truth) < bias / 3
    scatter = torch.tensor(limits).std().item()
    bar = bootstrap(lambda i: extrapolate(x[i], reference, draws=8).limit, 320, 20, 0).se
    assert 0.4 < bar / scatter < 2.5


def test_fewer_images_give_a_larger_distance(rng):
    x = torch.randn(400, 8, generator=rng)
    reference = Moments.of(torch.randn(400, 8, generator=rng))
    values = distances_by_n(frechet_resampler(x, reference), torch.arange(400), (50, 100, 200, 400), seed=0, draws=10)
    assert values == sorted(values, reverse=True)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least 500 with 100 features, not 300"):
        extrapolate(torch.randn(300, 100), Moments(torch.zeros(100).double(), torch.eye(100).double(), 9))
