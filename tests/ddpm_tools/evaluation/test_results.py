from dataclasses import replace

import pytest
import scipy.stats

from ddpm_tools.evaluation.estimates import Estimate, interval
from ddpm_tools.evaluation.record import text_table
from ddpm_tools.evaluation.results import Incomparable, MetricResult, Provenance, compare, labelled, over_seeds

ABOUT = Provenance("net abc", 1000, "digits/train", 0, 50, 1.0, "ema")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n": 500}, "n is 1000 in one and 500 in the other.*same number"),
        ({"extractor": "inception x"}, "extractor.*different scales"),
        ({"reference": "digits/all"}, "reference is digits/train in one and digits/all"),
        ({"weights": "raw"}, "weights.*different models"),
    ],
)
def test_results_that_do_not_compare_are_refused_with_the_reason(change, reason):
    a = MetricResult("frechet", Estimate(3, 2, 4, 0.5), ABOUT)
    with pytest.raises(Incomparable, match=reason):
        compare(a, MetricResult("frechet", Estimate(4, 3, 5, 0.5), replace(ABOUT, **change)))


def test_results_of_one_kind_compare_and_carry_both_errors():
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
    results = [
        MetricResult("frechet", interval(v, 0.01), replace(ABOUT, seed=i)) for i, v in enumerate((4.0, 5.0, 6.0))
    ]
    f = over_seeds(results)
    half = 4.303 * 1 / 3**0.5  # Student's t with two degrees of freedom
    assert f.estimate.value == 5 and f.about.seed == (0, 1, 2)
    assert (f.estimate.low, f.estimate.high) == pytest.approx((5 - half, 5 + half), abs=1e-3)
    assert over_seeds(results[:1]) is results[0]
    with pytest.raises(Incomparable):
        over_seeds([results[0], replace(results[1], about=replace(ABOUT, n=10))])


def test_a_result_says_all_that_it_depends_on():
    about = replace(ABOUT, reference="cifar10-train-jpeg/all", seed=3, steps=10, w=2.0)
    line = text_table([MetricResult("frechet", interval(4.0, 0.1), about)]).splitlines()[0]
    reference = "reference cifar10-train-jpeg/all: CIFAR-10 (JPEG)"
    for part in (about.extractor, "n = 1000", reference, "seed 3", "10 steps", "w = 2", "weights: ema"):
        assert part in line
    assert labelled("digits/all") == "digits/all" and labelled("cifar10/all") == "cifar10/all"


def over(values, seeds, training=()):
    each = [
        MetricResult("frechet", interval(v, 0.01), replace(ABOUT, seed=i)) for v, i in zip(values, seeds, strict=True)
    ]
    return over_seeds(each, training)


def test_the_same_seeds_are_compared_in_pairs_and_others_by_welch():
    a, b = (4.0, 5.0, 9.0), (4.5, 5.4, 9.6)
    pairs = compare(over(a, (0, 1, 2)), over(b[::-1], (2, 1, 0)))  # in whatever order
    theirs = scipy.stats.ttest_rel(b, a).confidence_interval(0.95)
    assert (pairs.low, pairs.high) == pytest.approx((theirs.low, theirs.high)) and pairs.low > 0
    apart = compare(over(a, (0, 1, 2)), over(b, (3, 4, 5)))
    theirs = scipy.stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert (apart.low, apart.high) == pytest.approx((theirs.low, theirs.high)) and apart.low < 0


def test_training_seeds_are_named_and_no_seed_counts_twice():
    runs = over((4.0, 5.0, 9.0), (0, 0, 0), training=(7, 8, 9))
    assert runs.about.seed == (7, 8, 9) and runs.covers == "training seeds" and runs.by_seed()[9] == 9.0
    assert over((4.0, 5.0), (7, 8)).covers == "sampling seeds"
    same = over((4.0, 5.0, 9.0), (7, 8, 9))  # the seeds of one checkpoint's samples pair with no training runs
    assert compare(runs, same).df == pytest.approx(4)
    with pytest.raises(ValueError, match="2 results need as many different seeds"):
        over((4.0, 5.0), (0, 0))
