import numpy as np
import pytest
import scipy.stats
import torch
from scipy.stats import binomtest

from ddpm_core.metrics.distances import Moments, frechet_distance
from ddpm_tools.evaluation.estimates import (
    Estimate,
    bootstrap,
    difference,
    halves,
    interval,
    mean_estimate,
    paired,
    proportion,
)
from ddpm_tools.evaluation.resampling import frechet_resampler


def test_bootstrap_covers_a_known_mean():
    """The interval of a mean of 200 coin flips is the binomial one."""
    hits = (torch.rand(200, generator=torch.Generator().manual_seed(3)) < 0.7).double()
    e = bootstrap(lambda i: float(hits[i].mean()), 200, 400, 0)
    half = 1.96 * (e.value * (1 - e.value) / 200) ** 0.5
    assert e.low == pytest.approx(e.value - half, abs=0.02) and e.high == pytest.approx(e.value + half, abs=0.02)


def test_bootstrap_of_a_distance_is_its_spread_over_fresh_images(rng):
    """The error bar from one set of images equals the scatter over many sets, within the noise of both."""
    reference = Moments(torch.zeros(8).double(), torch.eye(8).double(), 10**6)

    def distance(x):
        return frechet_distance(Moments.of(x), reference)

    sets = [torch.randn(300, 8, generator=rng) * 1.2 + 0.3 for _ in range(60)]
    scatter = torch.tensor([distance(x) for x in sets]).std().item()
    e = bootstrap(lambda i: distance(sets[0][i]), 300, 200, 0)
    assert (e.high - e.low) / 2 / 1.96 == pytest.approx(scatter, rel=0.35)
    assert e.low < e.value < e.high and e.value == distance(sets[0])


def test_proportions_have_wilsons_interval():
    for hits, n in ((0, 50), (50, 50), (37, 50), (480, 500)):
        theirs = binomtest(hits, n).proportion_ci(method="wilson")
        e = proportion((torch.arange(n) < hits).double())
        assert (e.low, e.high) == pytest.approx((theirs.low, theirs.high), abs=2e-4)
    for n in range(2, 600):  # rounding must not put a value outside of its own interval: no plot could show it
        for all_or_none in (torch.ones(n), torch.zeros(n)):
            e = proportion(all_or_none)
            assert 0 <= e.low <= e.value <= e.high <= 1
    for e in (interval(-1e-12, 0.1), interval(1 + 1e-12, 0.1, top=1.0)):  # a distance of nothing, say
        assert e.low <= e.value <= e.high


def test_halves_estimate_the_scatter_of_a_figure_that_duplicates_would_spoil(rng):
    """The share of a line covered by the gaps' neighbours: an image drawn twice would count as its own neighbour."""

    def nearest(x):
        d = (x[:, None] - x).abs() + torch.eye(len(x)) * 9
        return float(d.amin(1).mean()) * len(x)

    sets = [torch.rand(200, generator=rng) for _ in range(200)]
    scatter = torch.tensor([nearest(x) for x in sets]).std().item()
    mine = [halves(lambda i, x=x: nearest(x[i]), 200, 100, 0).se for x in sets[:10]]
    assert sum(mine) / 10 == pytest.approx(scatter, rel=0.35)


def test_halves_know_the_scatter_of_a_distance_where_a_bootstrap_does_not(rng):
    """Few images for the dimension: resampling with replacement doubles the error."""
    d, n = 32, 120
    reference = Moments(torch.zeros(d).double(), torch.eye(d).double(), 10**9)
    sets = [torch.randn(n, d, generator=rng) * 1.3 + 0.3 for _ in range(60)]
    resampled = [frechet_resampler(x, reference) for x in sets]
    scatter = torch.tensor([f(torch.arange(n)) for f in resampled]).std().item()
    ours, naive = (sum(kind(f, n, 60, 0).se for f in resampled[:6]) / 6 for kind in (halves, bootstrap))
    assert ours == pytest.approx(scatter, rel=0.35) and abs(ours - scatter) < abs(naive - scatter)


def test_a_pooled_scatter_is_the_two_sample_test_s():
    x, y = [2.0, 3.0], [10.0, 12.0, 11.0, 13.0, 9.0]
    e = mean_estimate(x, [y])
    se = (np.mean(y) - np.mean(x)) / scipy.stats.ttest_ind(y, x).statistic / (1 / len(x) + 1 / len(y)) ** 0.5
    assert e.se == pytest.approx(se / len(x) ** 0.5)
    assert e.high - e.value == pytest.approx(scipy.stats.t.ppf(0.975, 5) * e.se)


def test_an_independent_difference_is_welch_s():
    a, b = [2.0, 3.5, 3.0], [9.0, 4.0, 6.5, 12.0]
    d, right = difference(mean_estimate(a), mean_estimate(b)), scipy.stats.ttest_ind(b, a, equal_var=False)
    bounds = right.confidence_interval(0.95)
    assert d.df == pytest.approx(right.df) and (d.low, d.high) == pytest.approx((bounds.low, bounds.high))
    single = Estimate(5.0, 5.0 - 1.96, 5.0 + 1.96, 1.0)  # over images: infinitely many degrees of freedom
    assert (difference(single, single).df, difference(single, single).high) == (None, pytest.approx(1.96 * 2**0.5))
    assert difference(single, mean_estimate(b)).df > 3  # the images add nothing to what the four runs leave open
    assert difference(mean_estimate([1.0, 1.0]), mean_estimate([2.0, 2.0])) == Estimate(1, 1, 1, 0, None)
    assert difference(mean_estimate([1.0]), single).high == float("inf")


def coverage(interval_of, seeds, spread=1.0, shared=0.0, repeats=4000):
    """Share of simulated comparisons of two equal methods, each over so many seeds, whose interval holds 0."""
    rng = torch.Generator().manual_seed(seeds)
    common = shared * torch.randn(repeats, seeds, generator=rng)
    a, b = (common + sd * torch.randn(repeats, seeds, generator=rng) for sd in (1.0, spread))
    return np.mean([d.low <= 0 <= d.high for d in map(interval_of, a.tolist(), b.tolist())])


def welch(a, b):
    return difference(mean_estimate(a), mean_estimate(b))


def by_pairs(a, b):
    return mean_estimate(paired(dict(enumerate(a)), dict(enumerate(b))))


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_over_few_seeds_cover_what_they_promise(seeds):
    top = 1.0 if seeds == 2 else 0.975  # with two seeds Welch's test is conservative
    for spread in (1.0, 3.0):
        assert 0.93 < coverage(welch, seeds, spread) < top
        assert 0.93 < coverage(by_pairs, seeds, spread, shared=3.0) < 0.975
    for kind in (welch, by_pairs):  # the normal distribution's 1.96 would not do
        assert coverage(lambda a, b, k=kind: interval(k(a, b).value, k(a, b).se, low=-np.inf), seeds) < 0.93
