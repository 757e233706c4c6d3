import json
import math

import pytest
import torch

from autograder.authoring.references import names
from autograder.exercises import EXERCISES, gate_of
from autograder.exercises.base import Probe
from autograder.gate import plot
from autograder.gate.bands import Band, bands, judge_run, load_bands, numbers, too_good
from autograder.gate.harness import Harness, Unconditional, describe
from autograder.gate.judge import Judge, copies, measure
from autograder.gate.looking import Look, draw_samples, mean_loss
from autograder.gate.sequential import decided
from autograder.grading import batch, gating
from autograder.grading.checking import Judging
from autograder.grading.results import NotebookResult, record
from ddpm_core.config import DATA_DIR
from ddpm_core.data import digits
from ddpm_core.parameterization import PARAMETERIZATIONS
from ddpm_core.schedule import DiffusionSchedule
from ddpm_tools.evaluation.plain_classifier import load_classifier

GATES = tuple(e.name for e in EXERCISES.values() if e.gate_cell)
SEQUENTIAL = tuple(name for name in GATES if gate_of(name).sequential)
RERUNS = {name: 8 for name in GATES} | {f"{name}_looks": 3 for name in SEQUENTIAL}
FILES = {name: DATA_DIR / f"gates/{name}.json" for name in RERUNS}
RECORDS = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in FILES.items()}
FILE = FILES["conditioner"]
JUDGES = ("judge", "course")


def made_with(name):
    """The harness and controls of a band file: of the tracks' one look, or of the looks at a submission."""
    gate = gate_of(name.removesuffix("_looks"))
    return gate.graded() if name.endswith("_looks") else (gate.harness, gate.controls)


@pytest.mark.parametrize("name", FILES)
def test_the_band_file_was_made_with_this_harness_and_holds_every_rerun(name):
    record, exercise = RECORDS[name], name.removesuffix("_looks")
    assert record["harness"] == json.loads(json.dumps(describe(made_with(name)[0])))
    done = {(r["design"], r["role"], r["rerun"]) for r in record["runs"]}
    assert len(names(exercise, "reference")) >= 3
    for design, role in [(d, kind) for kind in ("reference", "control") for d in names(exercise, kind)]:
        assert sum(d == design and r == role for d, r, _ in done) >= RERUNS[name], design
    one_look = " --one-look" if name in SEQUENTIAL else ""
    assert record["command"] == f"autograder calibrate {exercise} --reruns {RERUNS[name]}{one_look}"


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("name", FILES)
def test_limits_follow_from_the_runs(name, judge):
    again = bands(RECORDS[name]["runs"], judge, made_with(name)[1])
    stored = load_bands(FILES[name], judge)
    assert set(stored) == set(again) == set(made_with(name)[1])
    for metric, band in again.items():
        assert (stored[metric].full, stored[metric].half) == pytest.approx((band.full, band.half))
        assert stored[metric].far == pytest.approx(band.far) and band.far < band.full


def runs_on_record(name):
    """(design, kind, metrics) of all runs besides those of the limits: other seeds, other designs."""
    for line in (DATA_DIR / "gates/runs.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["exercise"] == name and "metrics" in row and "step" not in row:
            yield row["design"], row["kind"], row["metrics"]["judge"]
    for line in (DATA_DIR / "challenges/runs.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["track"].removesuffix("ing") in name and row.get("metrics"):
            yield row["design"], "right", {"adherence": 0.0, **row["metrics"]}


@pytest.mark.parametrize("name", GATES)
def test_no_right_design_is_too_good_and_what_learnt_longer_or_stored_images_is(name):
    """By the limits of the one look, with which the runs on record were made."""
    limits, seen = load_bands(FILES[name], "judge"), {"right": 0, "long": 0, "memoriser": 0}
    for run in RECORDS[name]["runs"]:
        for judge in JUDGES:
            far = too_good(run["metrics"][judge], load_bands(FILES[name], judge))
            assert bool(far) == (run["design"] == "memoriser"), (run["design"], far)
    for design, kind, metrics in runs_on_record(name):
        known_bad = kind == "wrong" or design in ("pointwise", "ignored")
        kind = "memoriser" if design == "memoriser" else "wrong" if known_bad else kind
        if kind in seen:
            seen[kind] += 1
            assert bool(too_good(metrics, limits)) == (kind != "right"), (design, metrics)
    assert seen["right"] >= 20 and seen["long"] >= 2 and seen["memoriser"] >= 2


def test_what_is_too_good_keeps_its_marks_and_only_the_instructor_reads_of_it(monkeypatch):
    exercise = EXERCISES["5_3_conditioning", "conditioner"]
    metrics = {"adherence": 0.999, "distance": 0.4, "heldout_loss": 0.1, "copies": 0.0}
    monkeypatch.setattr(gating.looking, "run", lambda *a, **k: ({"judge": metrics}, None))
    result = NotebookResult(exercise, "graded", "")
    judging = Judging(batch.make_grader(exercise, 1), result, 1, lambda what, share: None)
    gating.gate(judging, Probe(None))
    assert result.gate == 1.0 and result.tests[-1].score == 10
    (flag,) = result.instructor["flags"]
    assert all(f"{name} " in flag for name in ("(error", "distance", "heldout loss"))
    told = json.dumps(record("ada", exercise.assignment, [result]))
    assert "ar better" not in told and "reference run" not in told
    metrics |= {"adherence": 0.93, "distance": 2.5, "heldout_loss": 0.13}
    judging.result.instructor.clear()
    gating.gate(judging, Probe(None))
    assert result.instructor == {}


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("name", FILES)
def test_every_reference_passes_in_full_and_every_control_fails(name, judge):
    """A reference at the last look at the latest, a control at every look, if the gate claims to detect it."""
    limits, detected = load_bands(FILES[name], judge), set().union(*made_with(name)[1].values())
    for run in RECORDS[name]["runs"]:
        shares = [judge_run(look["metrics"][judge], limits).share for look in run.get("looks", [run])]
        if run["role"] == "reference":
            assert shares[-1] == 1.0, (run["design"], run["rerun"])
        elif run["design"] in detected:
            assert max(shares) == 0.0, (run["design"], run["rerun"])


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_reference_is_never_given_up_and_what_ignores_its_label_is_at_the_second_look(name):
    limits, (harness, _) = load_bands(FILES[f"{name}_looks"], "judge"), gate_of(name).graded()
    for run in RECORDS[f"{name}_looks"]["runs"]:
        seen = [Look(**{**look, "hope": math.inf if look["hope"] is None else look["hope"]}, images=None)
                for look in run.get("looks", [])]  # fmt: skip
        ends = next((look for look in seen if decided(look, limits, harness)), seen[-1])
        share = judge_run(ends.metrics["judge"], limits).share
        assert share == (run["role"] == "reference"), (run["design"], run["rerun"])
        if run["design"] in ("ignored", "shuffled"):
            assert ends.step == harness.looks[1]


def test_limits_are_one_sided():
    """A run better than anything on record in every number passes."""
    perfect = {"adherence": 1.0, "distance": 0.0, "heldout_loss": 0.0, "copies": 0.0}
    assert judge_run(perfect, load_bands(FILE, "judge")).share == 1.0


def test_without_labels_adherence_is_neither_judged_nor_shown():
    limits = load_bands(FILES["prediction"], "judge")
    verdict = judge_run({"adherence": 0.0, "distance": 0.0, "heldout_loss": 0.0, "copies": 0.0}, limits)
    assert verdict.share == 1.0 and "adherence" not in verdict.metrics
    assert "adherence" not in numbers(verdict, limits) and "held-out loss" in numbers(verdict, limits)


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
        bands(runs, "judge", gate_of("conditioner").controls)


def test_returned_training_images_are_seen_as_copies():
    assert copies(digits("train").floats()[:300]) == 1.0
    assert copies(digits("heldout").floats()) == 1.0  # every student has these, too
    assert copies(digits("heldout").floats().roll(1, 3)) < 0.05  # digits that nobody has stored


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


def test_an_image_predictor_is_judged_by_the_noise_that_it_implies():
    """x0 = xt / sqrt(abar) says that there is no noise, and is wrong by all of it."""
    small = Unconditional(samples=20, sample_steps=2, batch=20, output="x0")
    abar = DiffusionSchedule.named().alphas_cumprod

    def denoise(xt, t, y):
        return xt / abar[t].sqrt().view(-1, 1, 1, 1)

    _, _, loss = draw_samples(denoise, small, seed=1, output=PARAMETERIZATIONS["x0"])
    assert loss == pytest.approx(1.0, abs=0.05)  # the noise's own variance


def test_the_loss_of_an_unconditional_run_counts_every_noise_level_alike():
    schedule = DiffusionSchedule.named()
    times = torch.tensor([999, 499, 49])  # at the first nothing is left of the image
    losses = [torch.tensor(v) for v in (7.0, 0.01, 1.0, 7.0, 0.03, 1.0)]
    assert mean_loss(losses, times, schedule, Unconditional()) == pytest.approx(math.sqrt(0.02 * 1.0))
    assert mean_loss(losses, times, schedule, Harness()) == pytest.approx(sum(map(float, losses)) / 6)
    assert math.isnan(mean_loss([torch.tensor(math.nan)] * 6, times, schedule, Unconditional()))


@pytest.mark.parametrize("name", FILES)
def test_the_picture_shows_the_run_among_the_others(name, tmp_path):
    metrics = {"adherence": 0.8, "distance": 12.0, "heldout_loss": 0.11, "copies": 0.0}
    classifier = load_classifier(DATA_DIR / "judges/digits")
    fig = plot.figure(RECORDS[name], "judge", metrics, digits("heldout").floats()[:200], classifier)
    assert "look" not in fig.subfigs[0].get_suptitle()
    axes = [ax for sub in fig.subfigs for ax in sub.axes]
    assert all(ax.get_xlabel() for ax in axes if ax.get_xticks().size)
    controls = list(made_with(name)[1])
    panels = axes[: len(controls)]
    stars = [ax.collections[-1].get_offsets()[0] for ax in panels]
    assert stars[controls.index("distance")][0] == pytest.approx(12.0)
    assert [t.get_text() for t in panels[0].get_yticklabels()][-1] == "your run"
    given = FILES[name], "judge", metrics, digits().floats()[:100], classifier
    assert plot.save(tmp_path / "a.png", *given).is_file()


def test_the_picture_says_at_which_look_the_run_ended():
    metrics = {"adherence": 0.8, "distance": 12.0, "heldout_loss": 0.11, "copies": 0.0}
    given = RECORDS["prediction_looks"], "judge", metrics, digits().floats()[:100], None
    title = plot.figure(*given, ended="after 200 training steps, at look 2 of 4").subfigs[0].get_suptitle()
    assert "after 200 training steps, at look 2 of 4" in title
