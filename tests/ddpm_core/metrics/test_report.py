from dataclasses import replace

import pytest
import torch
from scipy.stats import binomtest

from ddpm_core.config import DATA_DIR
from ddpm_core.data import digits
from ddpm_core.metrics.classifier import load_classifier
from ddpm_core.metrics.distances import Moments, frechet_distance, frechet_resampler
from ddpm_core.metrics.report import (
    Estimate,
    Incomparable,
    MetricResult,
    Provenance,
    bootstrap,
    compare,
    halves,
    interval,
    labelled,
    over_seeds,
    proportion,
    score,
)
from ddpm_tools.evaluation.record import text_table

ABOUT = Provenance("net abc", 1000, "digits/train", 0, 50, 1.0, "ema")


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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n": 500}, "n is 1000 in one and 500 in the other.*same number"),
        ({"extractor": "inception x"}, "extractor.*different scales"),
        ({"reference": "digits/all"}, "reference is digits/train in one and digits/all"),
        ({"weights": "raw"}, "weights.*different models"),
    ],
)
def test_figures_that_do_not_compare_are_refused_with_the_reason(change, reason):
    a = MetricResult("frechet", Estimate(3, 2, 4, 0.5), ABOUT)
    with pytest.raises(Incomparable, match=reason):
        compare(a, MetricResult("frechet", Estimate(4, 3, 5, 0.5), replace(ABOUT, **change)))


def test_figures_of_one_kind_compare_and_carry_both_errors():
    a = MetricResult("frechet", Estimate(3, 0, 6, 3 / 1.96), ABOUT)
    b = MetricResult("frechet", Estimate(9, 5, 13, 4 / 1.96), replace(ABOUT, w=4.0, seed=7, steps=20))
    d = compare(a, b)
    assert (d.value, d.low, d.high) == pytest.approx((6, 1, 11))
    raw = replace(b, about=replace(b.about, weights="raw"))
    assert compare(a, raw, varying=("weights",)).value == 6  # where averaged against raw is the question
    with pytest.raises(ValueError, match="never comparable"):
        compare(a, b, varying=("n",))
    with pytest.raises(Incomparable, match="different things"):
        compare(a, replace(b, metric="kid"))


def test_several_seeds_widen_the_interval_to_their_own_scatter():
    figures = [
        MetricResult("frechet", interval(v, 0.01), replace(ABOUT, seed=i)) for i, v in enumerate((4.0, 5.0, 6.0))
    ]
    f = over_seeds(figures)
    half = 4.303 * 1 / 3**0.5  # Student's t with two degrees of freedom
    assert f.estimate.value == 5 and f.about.seed == (0, 1, 2)
    assert (f.estimate.low, f.estimate.high) == pytest.approx((5 - half, 5 + half), abs=1e-3)
    assert over_seeds(figures[:1]) is figures[0]
    with pytest.raises(Incomparable):
        over_seeds([figures[0], replace(figures[1], about=replace(ABOUT, n=10))])


def test_scores_tell_real_from_wrong(rng):
    judge, heldout, real = load_classifier(DATA_DIR / "classifiers/digits"), digits("heldout"), digits("all")
    about = Provenance("classifier", 360, "digits/all", 0, 0, 1.0, "ema")
    good = score(heldout.floats(), heldout.labels, real, judge, about, 30)
    shuffled = score(heldout.floats(), heldout.labels[torch.randperm(360, generator=rng)], real, judge, about, 30)
    noise = score(torch.randn(360, 1, 8, 8, generator=rng), heldout.labels, real, judge, about, 30)
    assert good.adherence == proportion(torch.arange(360) < round(360 * good.adherence.value))  # Wilson's
    assert good.adherence.value > 0.98 and shuffled.adherence.value < 0.25
    assert good.distance.value == pytest.approx(shuffled.distance.value)  # pooled distances do not see labels
    assert noise.distance.value > 10 * good.distance.value
    assert good.diversity.value == pytest.approx(1, abs=0.1)
    for e in (good.adherence, good.distance, good.diversity):
        assert e.low <= e.value <= e.high


def test_a_figure_says_all_that_it_depends_on():
    about = replace(ABOUT, reference="cifar10-train-jpeg/all", seed=3, steps=10, w=2.0)
    line = text_table([MetricResult("frechet", interval(4.0, 0.1), about)]).splitlines()[0]
    reference = "reference cifar10-train-jpeg/all: CIFAR-10 (JPEG)"
    for part in (about.extractor, "n = 1000", reference, "seed 3", "10 steps", "w = 2", "weights: ema"):
        assert part in line
    assert labelled("digits/all") == "digits/all" and labelled("cifar10/all") == "cifar10/all"
