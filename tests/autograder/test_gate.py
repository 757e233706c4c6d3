import json
import math

import pytest
import torch

from autograder.gate import Band, bands, judge_run, load_bands
from autograder.harness import Harness, Judge, copies, describe, draw_samples, measure
from autograder.references import ROLES
from ddpm_core.config import DATA_DIR
from ddpm_core.data import digits
from ddpm_core.metrics.classifier import load_classifier

FILE = DATA_DIR / "gates/conditioner.json"
RECORD = json.loads(FILE.read_text(encoding="utf-8"))
JUDGES = ("judge", "course")


def test_the_band_file_was_made_with_this_harness_and_holds_every_rerun():
    assert RECORD["harness"] == json.loads(json.dumps(describe(Harness())))
    done = {(r["design"], r["role"], r["rerun"]) for r in RECORD["runs"]}
    roles = ROLES["conditioner"]
    assert len(roles["references"]) >= 3
    for design, role in [(d, "reference") for d in roles["references"]] + [(d, "control") for d in roles["controls"]]:
        assert sum(d == design and r == role for d, r, _ in done) >= 8, design


@pytest.mark.parametrize("judge", JUDGES)
def test_limits_follow_from_the_runs(judge):
    again = bands(RECORD["runs"], judge)
    stored = load_bands(FILE, judge)
    for metric, band in again.items():
        assert (stored[metric].full, stored[metric].half) == pytest.approx((band.full, band.half))


@pytest.mark.parametrize("judge", JUDGES)
def test_every_reference_passes_in_full_and_every_control_fails(judge):
    limits = load_bands(FILE, judge)
    for run in RECORD["runs"]:
        share = judge_run(run["metrics"][judge], limits).share
        assert share == (1.0 if run["role"] == "reference" else 0.0), (run["design"], run["rerun"])


def test_limits_are_one_sided():
    """A run better than anything on record in every number passes."""
    perfect = {"adherence": 1.0, "distance": 0.0, "heldout_loss": 0.0, "copies": 0.0}
    assert judge_run(perfect, load_bands(FILE, "judge")).share == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("metric", ["adherence", "distance", "heldout_loss", "copies"])
def test_what_is_not_finite_fails_closed(metric, bad):
    metrics = {"adherence": 1.0, "distance": 0.0, "heldout_loss": 0.0, "copies": 0.0, metric: bad}
    assert judge_run(metrics, load_bands(FILE, "judge")).share == 0.0


def test_full_half_and_none():
    band = Band(full=2.0, half=3.0)
    assert [band.share(v) for v in (0.0, 2.0, 2.1, 3.0, 3.1)] == [1, 1, 0.5, 0.5, 0]


def test_no_limits_where_a_control_is_as_good_as_a_reference():
    same = {"adherence": 0.9, "distance": 1.0, "heldout_loss": 0.1, "copies": 0.0}
    runs = [{"design": d, "role": r, "metrics": {"judge": same}} for d, r in
            [("add", "reference"), ("ignored", "control"), ("memoriser", "control")]]  # fmt: skip
    with pytest.raises(ValueError, match="no limit fits"):
        bands(runs, "judge")


def test_returned_training_images_are_seen_as_copies():
    assert copies(digits("train").floats()[:300]) == 1.0
    assert copies(digits("heldout").floats()) == pytest.approx(0.05, abs=0.01)


def test_the_hidden_images_are_unmarked_and_in_every_query():
    """The child sees 36 more rows than were asked for, shuffled, with the same dtypes and labels in range."""
    seen, small = [], Harness(samples=40, sample_steps=3, batch=20)

    def denoise(xt, t, y):
        seen.append((len(xt), int(t.unique().numel()), y.max().item()))
        return xt

    images, y, loss = draw_samples(denoise, small, seed=4)
    assert seen == [(56, 1, 9)] * 6 and images.shape == (40, 1, 8, 8) and torch.equal(y, torch.arange(40) % 10)
    assert math.isfinite(loss)


def test_an_exact_guess_of_the_noise_has_no_loss_on_the_hidden_images():
    """xt near t = T-1 is the noise: answering xt gives almost the right eps there, and the loss shows it."""
    _, _, loss = draw_samples(lambda xt, t, y: xt, Harness(samples=20, sample_steps=1, batch=20), seed=1)
    _, _, wrong = draw_samples(lambda xt, t, y: -xt, Harness(samples=20, sample_steps=1, batch=20), seed=1)
    assert loss < 1e-3 and wrong > 3


def test_scores_of_real_images():
    judge = Judge.of(load_classifier(DATA_DIR / "judges/digits"))
    real = digits("all")
    metrics = measure(real.floats(), real.labels, 0.1, {"judge": judge})["judge"]
    assert metrics["distance"] == pytest.approx(0, abs=1e-6) and metrics["adherence"] > 0.99
