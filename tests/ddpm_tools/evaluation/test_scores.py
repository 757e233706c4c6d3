import pytest
import torch

from ddpm_core.config import DATA_DIR
from ddpm_core.data import digits
from ddpm_tools.evaluation.estimates import proportion
from ddpm_tools.evaluation.plain_classifier import load_classifier
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.scores import score


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
