import numpy as np
import pytest
import torch
from cleanfid.fid import frechet_distance as cleanfid_distance

from ddpm_core.metrics.distances import Moments, diversity, frechet_distance
from ddpm_tools.evaluation.resampling import frechet_resampler


def test_frechet_equals_clean_fid(rng):
    for dim in (3, 64):
        a = torch.randn(400, dim, generator=rng).double() @ torch.randn(dim, dim, generator=rng).double()
        b = torch.randn(300, dim, generator=rng).double() + 0.5
        x, y = Moments.of(a), Moments.of(b)
        theirs = cleanfid_distance(
            a.numpy().mean(0), np.cov(a.numpy(), rowvar=False), b.numpy().mean(0), np.cov(b.numpy(), rowvar=False)
        )
        assert frechet_distance(x, y) == pytest.approx(float(theirs), rel=1e-6)


def test_frechet_in_closed_form():
    """For commuting covariances it is |mu|^2 plus the squared differences of the standard deviations."""
    eye = torch.eye(4, dtype=torch.float64)
    a, b = Moments(torch.zeros(4).double(), 4 * eye, 9), Moments(torch.ones(4).double(), 9 * eye, 9)
    assert frechet_distance(a, b) == pytest.approx(4 + 4 * 1)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    flat = Moments(torch.zeros(4).double(), torch.zeros(4, 4).double(), 9)  # rank zero
    assert frechet_distance(flat, b) == pytest.approx(4 + 36)


def test_moments_refuse_what_is_not_finite_and_name_it():
    with pytest.raises(ValueError, match="feature 2 of image 1 is not finite"):
        Moments.of(torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, float("nan")]]))
    with pytest.raises(ValueError, match="at least two feature vectors, got 1"):
        Moments.of(torch.zeros(1, 3))


def test_diversity_is_the_within_class_spread(rng):
    labels = torch.arange(2).repeat_interleave(5000)
    x = torch.randn(10_000, 4, generator=rng) * 3 + 100 * labels[:, None]
    assert diversity(x, labels) == pytest.approx(3 * 2, rel=0.02)
    assert diversity(torch.ones(6, 4), torch.tensor([0, 0, 0, 1, 1, 1])) == 0


def test_frechet_of_rank_deficient_sets():
    """Fewer images than dimensions: against the singular values of the factors, which need no root of a matrix."""
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(20, 96, generator=rng).double() * 3 + 1
    y = torch.randn(30, 96, generator=rng).double()
    u, v = (f - f.mean(0) for f in (x, y))
    cross = torch.linalg.svdvals(u @ v.T).sum() / (19 * 29) ** 0.5  # |A^1/2 B^1/2|_* (nuclear norm)
    exact = (x.mean(0) - y.mean(0)).square().sum() + x.var(0).sum() + y.var(0).sum() - 2 * cross
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(float(exact), rel=1e-6)
    assert frechet_distance(Moments.of(x), Moments.of(x)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("n", "d"), [(30, 50), (200, 8)])
def test_resampled_distances_equal_those_of_the_resampled_images(n, d, rng):
    x = torch.randn(n, d, generator=rng) * 2 + 0.5
    reference = Moments.of(torch.randn(400, d, generator=rng) - 3)
    distance = frechet_resampler(x, reference)
    for index in (torch.arange(n), torch.randint(n, (n,), generator=rng), torch.randperm(n, generator=rng)[: n // 2]):
        assert distance(index) == pytest.approx(frechet_distance(Moments.of(x[index]), reference), rel=1e-6)
