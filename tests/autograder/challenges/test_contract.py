"""The contract of every track: all designs on record keep it, and each wrong one is turned away for its own reason."""

import importlib
import re

import pytest
import torch

from autograder.authoring.mutants import InProcess
from autograder.challenges import budgets, contract, testing
from autograder.challenges.examples import EXAMPLES, examples
from autograder.challenges.tracks import TRACKS, track
from ddpm_core.conditioning import STRATEGIES
from ddpm_core.parameterization import PARAMETERIZATIONS
from ddpm_core.schedule import DiffusionSchedule
from ddpm_tools.plain_pairs import from_functions


def child(name):
    return InProcess(importlib.import_module(track(name).exercise.questions))


def findings(name, cells):
    """In this process: all of these designs are ours."""
    return contract.ask(track(name), child(name), cells)


def names_of(design):
    return f"{design.track}: {design.name}"


RIGHT = [e for t in TRACKS for e in examples(t)]


def test_the_list_holds_every_baseline_and_design_on_record():
    assert {t: [e.name for e in examples(t)] for t in TRACKS} == {
        "conditioning": [
            *("concat-film", "cross-attn", "adanorm", "gated-fusion"),
            *("film-cross-attention", "film-4-tokens", "film-sigmoid-gate"),
        ],
        "prediction": ["epsilon", "vpred", "x0pred", "blend"],
        "architecture": ["standard", "full-attn", "no-attn", "gain-unet", "ada-unet"],
        "few-steps-1": ["ddim", "jump"],
        "few-steps-2": ["ddim", "jump", "log-snr"],
        "few-steps-4": ["ddim", "jump", "log-snr", "dpm-solver"],
    }


@pytest.mark.parametrize("design", RIGHT, ids=names_of)
def test_a_design_on_record_keeps_the_contract(design):
    found = findings(design.track, design.cells())
    assert found[-1].holds, found[-1]
    assert len(found) == len(contract.checks(track(design.track))) + 1


REASONS = {
    ("conditioning", "ignored"): "does not depend on the label",
    ("conditioning", "shared-label"): "depends on other samples of the batch",
    ("conditioning", "nan"): "not finite",
    ("prediction", "inconsistent"): "not consistent: at t = 0 of 1000 .cosine",
    ("prediction", "wrong-sign"): "not consistent: at t = 0 of 1000",
    ("prediction", "ignores-time"): "not consistent: at t = 0 of 1000",
    ("prediction", "first-timestep"): "not consistent: at t = ",
    ("prediction", "constant"): "not consistent: at t = 0 of 1000",
    ("architecture", "ignores-time"): "does not depend on the timestep",
    ("architecture", "constant"): "does not depend on the (timestep|image)",
}


@pytest.mark.parametrize("design", [e for e in EXAMPLES if e.kind == "wrong"], ids=names_of)
def test_a_wrong_design_is_turned_away_with_the_reason(design):
    last = findings(design.track, design.cells())[-1]
    assert not last.holds and re.search(REASONS[design.track, design.name], last.text, re.I), last


ADD = "def prepare_conditioning(time_emb, class_emb):\n    return time_emb + class_emb\n"
VELOCITY = {e.name: e for e in examples("prediction")}["vpred"].cells()
FLAT = next(e for e in EXAMPLES if e.file == "flat").cells()["build_model"]
OUT = "return Output(self.last(F.silu(h)))"


def pair(forward, init="pass"):
    return {
        "prepare_conditioning": ADD,
        "ClassConditioner": "class ClassConditioner(nn.Module):\n    def __init__(self, channels, cond_dim):\n"
        f"        super().__init__()\n        {init}\n    def forward(self, h, class_emb):\n        {forward}\n",
    }


def wide(times):
    return f"self.f = nn.Sequential(nn.Linear(cond_dim, {times} * cond_dim), nn.Linear({times} * cond_dim, channels))"


def edited(old, new, cell="predict_x0"):
    assert VELOCITY[cell].count(old) == 1
    return VELOCITY | {cell: VELOCITY[cell].replace(old, new)}


def flat(old, new):
    assert FLAT.count(old) == 1
    return {"build_model": FLAT.replace(old, new)}


SHIFT = "return h + self.f(class_emb)[..., None, None]"
LATE = "torch.where((timesteps >= 700).view(-1, 1, 1, 1), 0.9, 1.0) * model_output"
WRONG = [
    ("conditioning", pair(SHIFT, wide(60)), "more than 1.5 times the network's"),
    ("conditioning", pair(SHIFT, wide(8)), "at the published small scale the nine conditioners hold 6,"),
    ("conditioning", pair("return h", "self.f = nn.Linear(1000, 8000)"), "ClassConditioners hold 48,048,000 values"),
    ("conditioning", pair("h = h + 1"), r"ClassConditioner's forward returns nothing \(is the return missing\?\)"),
    ("conditioning", pair("return h, class_emb"), "ClassConditioner's forward returns a tuple, not a tensor"),
    ("conditioning", pair("return h.double()"), "has dtype torch.float64"),
    ("conditioning", pair("return h + 0.01 * torch.randn_like(h)"), "two calls in eval mode .* differ"),
    ("conditioning", pair("return h[:, :1]"), "has shape"),
    ("prediction", edited("model_output\n", f"{LATE}\n"), "not consistent: at t = 700 of 1000 .* 8 of"),
    ("prediction", edited("r * x_t", "(r * x_t).double()"), "returns torch.float64, but torch.float32"),
    ("prediction", edited("r * x_t", "r * x_t + 0 * torch.randn_like(x_t)"), "random numbers are drawn"),
    (
        "prediction",
        edited("r * x_t - s * model_output", "(r * x_t - s * model_output).float()"),
        "for torch.float64|float64 inputs|float32",
    ),
    (
        "prediction",
        {
            "compute_training_target": "def compute_training_target(x_0, noise, timesteps, schedule):\n"
            "    return noise.flip(-1)\n",
            "predict_x0": VELOCITY["predict_x0"].replace(
                "r * x_t - s * model_output", "(x_t - s * model_output.flip(-1)) / r"
            ),
        },
        "compute_training_target does not work on each pixel alone",
    ),
    ("architecture", flat(OUT, "return Output(self.last(F.silu(h)).double())"), "has dtype torch.float64"),
    ("architecture", flat(OUT, "return Output(self.last(F.silu(h)) + 0.1 * torch.randn_like(x))"), "two calls in eval"),
    ("architecture", flat(OUT, "return self.last(F.silu(h))"), "whose attribute `sample`"),
    ("architecture", flat("Net(max(widths), depth", "Net(5 * max(widths), depth"), "at most 4,000,000"),
    ("architecture", flat("Net(max(widths), depth", "Net(max(widths) ** 3 // 4096, depth"), "more than the 18,000,000"),
]


@pytest.mark.parametrize(("name", "cells", "says"), WRONG, ids=[f"{n}: {s[:30]}" for n, _, s in WRONG])
def test_another_wrong_design_is_turned_away_with_the_reason(name, cells, says):
    last = findings(name, cells)[-1]
    assert not last.holds and re.search(says, last.text, re.I), last


def test_a_slow_design_is_turned_away(monkeypatch, rng):
    from autograder.exercises.base import Failed, Probe

    for limit in ("SLOWEST_PAIR", "SLOWEST_FUNCTIONS"):
        monkeypatch.setattr(budgets, limit, 0.0)
    for name, check in (("conditioning", budgets.fast_pair), ("prediction", budgets.fast_functions)):
        probe = Probe(child(name))
        probe("load", cells=examples(name)[0].cells(), operations=track(name).exercise.operations)
        with pytest.raises(Failed, match=r"times as long as .* is allowed"):
            check(probe, rng)


def module(cells):
    names = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}
    names |= importlib.import_module("autograder.exercises.conditioner.questions").setup()
    for source in cells.values():
        exec(source, names)
    return names


@pytest.mark.parametrize("name", [e.name for e in examples("conditioning")])
def test_a_conditioning_example_is_the_library_s_strategy_of_that_name(name):
    design = module(next(e for e in examples("conditioning") if e.name == name).cells())
    strategy = STRATEGIES[name]
    ours, theirs = design["ClassConditioner"](64, 32), strategy.conditioner(64, 32)
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    with torch.no_grad():
        for a, b in zip(ours.parameters(), theirs.parameters()):
            a.copy_(b.normal_(0, 0.1))
        h, emb, t = torch.randn(3, 64, 4, 4), torch.randn(3, 32), torch.randn(3, 32)
        torch.testing.assert_close(ours(h, emb), theirs(h, emb))
        torch.testing.assert_close(design["prepare_conditioning"](t, emb), strategy.prepare_conditioning(t, emb))


@pytest.mark.parametrize(
    ("name", "library"), [("epsilon", "epsilon"), ("vpred", "v"), ("x0pred", "x0"), ("blend",) * 2]
)
def test_a_prediction_example_is_the_library_s_parameterization(name, library):
    names = module(next(e for e in examples("prediction") if e.name == name).cells())
    ours = from_functions(name, names["compute_training_target"], names["predict_x0"])
    theirs, schedule = PARAMETERIZATIONS[library], DiffusionSchedule.named("linear", dtype=torch.float64)
    t, (a, b) = torch.tensor([3, 500, 900]), torch.randn(2, 3, 1, 4, 4).double()
    for which in ("compute_training_target", "predict_x0"):
        out, right = (getattr(p, which)(a, b, t, schedule) for p in (ours, theirs))
        torch.testing.assert_close(out, right, rtol=1e-6, atol=1e-6)


def test_parameters_at_the_published_scale_are_the_published_ones():
    """9.7 M with the sigmoid gate and 10.5 M with FiLM and four tokens, of which 8.95 M are the network's."""
    for name, published in (("film-sigmoid-gate", 9.7), ("film-4-tokens", 10.5)):
        from autograder.exercises.base import Probe

        probe = Probe(child("conditioning"))
        cells = next(e for e in examples("conditioning") if e.name == name).cells()
        probe("load", cells=cells, operations="conditioner")
        assert (budgets.SMALL + budgets.conditioners_size(probe)) / 1e6 == pytest.approx(published, abs=0.06)


def test_a_starter_notebook_has_open_cells_and_locked_ones(tmp_path):
    import nbformat

    from autograder.challenges import starter

    for t in TRACKS.values():
        nb = nbformat.reads(starter.notebook(t), as_version=4)
        nbformat.validate(nb)
        opened = [c for c in nb.cells if c.metadata.get("editable", True)]
        assert [c.metadata.nbgrader.grade_id for c in opened] == list(t.exercise.answers)
        assert not any(c.metadata.deletable for c in nb.cells)
        assert all(c.metadata.nbgrader.locked for c in nb.cells if c not in opened)
        file = tmp_path / f"{t.name}.ipynb"
        file.write_text(starter.notebook(t))
        if t.evaluations:  # begins with the baseline
            assert testing.cells_of(t, file) == t.stub
        else:
            with pytest.raises(ValueError, match="still holds the stub"):
                testing.cells_of(t, file)
        for c in nb.cells:
            if c.metadata.nbgrader.grade_id in (cells := examples(t.name)[0].cells()):
                c.source = cells[c.metadata.nbgrader.grade_id]
        nbformat.write(nb, file)
        assert testing.cells_of(t, file) == cells
