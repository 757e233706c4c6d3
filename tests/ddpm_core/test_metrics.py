import numpy as np
import pytest
import torch
from cleanfid.fid import frechet_distance as cleanfid_distance

from ddpm_core.config import DATA_DIR
from ddpm_core.data import digits
from ddpm_core.metrics.classifier import classify, load_classifier
from ddpm_core.metrics.distances import Moments, diversity, frechet_distance
from ddpm_core.metrics.report import Provenance, bootstrap, score


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


def test_moments_refuse_what_is_not_finite():
    with pytest.raises(ValueError, match="at least two finite"):
        Moments.of(torch.tensor([[1.0], [float("nan")]]))


def test_diversity_is_the_within_class_spread(rng):
    labels = torch.arange(2).repeat_interleave(5000)
    x = torch.randn(10_000, 4, generator=rng) * 3 + 100 * labels[:, None]
    assert diversity(x, labels) == pytest.approx(3 * 2, rel=0.02)
    assert diversity(torch.ones(6, 4), torch.tensor([0, 0, 0, 1, 1, 1])) == 0


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


@pytest.mark.parametrize("name", ["classifiers/digits", "judges/digits"])
def test_shipped_classifiers_are_as_good_as_they_say(name):
    import json

    model, heldout = load_classifier(DATA_DIR / name), digits("heldout")
    accuracy = float((classify(model, heldout.floats())[0] == heldout.labels).double().mean())
    said = json.loads((DATA_DIR / f"{name}.json").read_text())["provenance"]["heldout_accuracy"]
    assert accuracy == pytest.approx(said, abs=0.003) and accuracy > 0.98


def test_scores_tell_real_from_wrong(rng):
    judge, heldout, real = load_classifier(DATA_DIR / "classifiers/digits"), digits("heldout"), digits("all")
    about = Provenance("classifier", 360, "digits/all", 0, 0, 1.0, "ema")
    good = score(heldout.floats(), heldout.labels, real, judge, about, 30)
    shuffled = score(heldout.floats(), heldout.labels[torch.randperm(360, generator=rng)], real, judge, about, 30)
    noise = score(torch.randn(360, 1, 8, 8, generator=rng), heldout.labels, real, judge, about, 30)
    assert good.adherence.value > 0.98 and shuffled.adherence.value < 0.25
    assert good.distance.value == pytest.approx(shuffled.distance.value)  # pooled distances do not see labels
    assert noise.distance.value > 10 * good.distance.value
    assert good.diversity.value == pytest.approx(1, abs=0.1)
    for e in (good.adherence, good.distance, good.diversity):
        assert e.low <= e.value <= e.high
