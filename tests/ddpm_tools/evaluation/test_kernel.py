import pytest
import torch
from cleanfid.fid import kernel_distance

from ddpm_tools.evaluation.kernel import kid, kid_estimate


def sets(rng, n, m, d=6, shift=0.0):
    return torch.randn(n, d, generator=rng) + shift, torch.randn(m, d, generator=rng)


def test_kid_equals_clean_fid(rng):
    """With subsets that hold everything, both are one number."""
    x, y = sets(rng, 80, 80, shift=0.3)
    theirs = kernel_distance(y.double().numpy(), x.double().numpy(), num_subsets=1, max_subset_size=80)
    assert kid(x, y) == pytest.approx(theirs, rel=1e-9)


def test_kid_by_definition(rng):
    """Every pair of two different images, written out (Gretton et al. 2012, eq. 3)."""
    x, y = (f.double() for f in sets(rng, 7, 7, shift=0.5))

    def k(a, b):
        return float((a @ b / 6 + 1) ** 3)

    within = sum(k(a[i], a[j]) for a in (x, y) for i in range(7) for j in range(7) if i != j) / (7 * 6)
    across = sum(k(a, b) for a in x for b in y) / 49
    assert kid(x, y) == pytest.approx(within - 2 * across, rel=1e-9)


def test_kid_has_no_bias_and_its_bars_are_its_scatter(rng):
    same, bars = [], []
    for i in range(150):
        x, y = sets(rng, 100, 400)
        same.append(kid(x, y, seed=i, size=100, subsets=20))
        if i < 10:
            bars.append(kid_estimate(x, y, repeats=100, seed=i, size=100).se)
    scatter = torch.tensor(same).std().item()
    assert abs(sum(same) / 150) < 3 * scatter / 150**0.5  # zero within its error
    assert 0.5 < sum(bars) / 10 / scatter < 1.5
    x, y = sets(rng, 100, 400, shift=0.5)
    assert kid_estimate(x, y, 50).low > 0


def test_kid_refuses_single_images():
    with pytest.raises(ValueError, match="at least two"):
        kid(torch.zeros(1, 3), torch.zeros(5, 3))
