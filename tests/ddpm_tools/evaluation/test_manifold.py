import pytest
import torch

from ddpm_tools.evaluation.manifold import Manifold


def brute_force(x, y, k):
    """Loops over points, straight from the definitions."""

    def d(a, b):
        return float((a - b).square().sum().sqrt())

    def reach(s):
        return [sorted(d(a, b) for j, b in enumerate(s) if j != i)[k - 1] for i, a in enumerate(s)]

    rx, ry = reach(x), reach(y)
    inside = [[d(a, b) <= r for b, r in zip(y, ry)] for a in x]
    return {
        "precision": sum(map(any, inside)) / len(x),
        "density": sum(map(sum, inside)) / k / len(x),
        "recall": sum(any(d(a, b) <= r for a, r in zip(x, rx)) for b in y) / len(y),
        "coverage": sum(any(row[j] for row in inside) for j in range(len(y))) / len(y),
    }


def figures(m, k):
    every = torch.arange(len(m.own))
    return {
        "precision": float(m.precision(k).mean()),
        "density": float(m.density(k).mean()),
        "recall": m.recall(k)(every),
        "coverage": m.coverage(k)(every),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
def test_against_brute_force(k, rng):
    x, y = torch.randn(25, 3, generator=rng) * 1.3 + 0.4, torch.randn(40, 3, generator=rng)
    assert figures(Manifold.of(x, y), k) == pytest.approx(brute_force(x, y, k))


def test_a_part_of_the_generated_images_is_judged_as_if_alone(rng):
    x, y = torch.randn(30, 3, generator=rng), torch.randn(40, 3, generator=rng)
    part, m = torch.randperm(30, generator=rng)[:15], Manifold.of(x, y)
    alone = brute_force(x[part], y, 3)
    assert m.recall(3)(part) == pytest.approx(alone["recall"])
    assert m.coverage(3)(part) == pytest.approx(alone["coverage"])


def test_the_ends_of_the_scale(rng):
    y = torch.randn(60, 4, generator=rng)
    same = figures(Manifold.of(y.clone(), y), 3)
    assert same["precision"] == same["recall"] == same["coverage"] == 1 and same["density"] >= 1
    assert set(figures(Manifold.of(y + 100, y), 3).values()) == {0.0}
    few = figures(Manifold.of(y[:6].repeat(10, 1), y), 3)  # six images, ten times each: good ones, and no others
    assert few["precision"] == 1 and few["recall"] < 0.2 and few["coverage"] < 0.6


def test_too_few_images():
    with pytest.raises(ValueError, match="more than 3 images"):
        Manifold.of(torch.zeros(3, 2), torch.zeros(3, 2)).precision(3)
