"""Full scale is offered to designs that have passed the quick gate, and to the stubborn, on record."""

import json
from dataclasses import replace

import pytest

from ddpm_tools.cli import train as command
from ddpm_tools.cli.main import main
from ddpm_tools.presets import PRESETS, preset
from ddpm_tools.train import quick_gate


@pytest.fixture
def passes(tmp_path, monkeypatch):
    told = {
        "conditioning": {
            "concat-film": {"passed": True, "seeds": 5, "reason": "within the reference limits"},
            "cross-attn": {"passed": False, "seeds": 5, "reason": "too far from real digits"},
        },
        "prediction": {"epsilon": {"passed": True, "seeds": 8, "reason": ""}},
        "architecture": {"standard": {"passed": True, "seeds": 8, "reason": ""}},
    }
    path = tmp_path / "gate.json"
    path.write_text(json.dumps({"designs": told}))
    monkeypatch.setattr(command.quick_gate.require, "__defaults__", (path,))
    return path


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """What `ddpm train` would have trained."""
    calls = []
    monkeypatch.setattr(command, "train_run", lambda config, out, device, callbacks, *a: calls.append(callbacks) or out)
    return calls


def refused(capsys, *argv):
    with pytest.raises(SystemExit) as e:
        main(["train", "--preset", "cifar10-small", "--out", "nowhere", *argv])
    said = capsys.readouterr().err.strip()
    assert e.value.code == 2 and "\n" not in said
    return said


def test_a_design_that_passed_is_trained_and_the_record_says_so(passes, trained, tmp_path):
    main(["train", "--preset", "cifar10-small", "--out", str(tmp_path / "a")])
    assert trained[0].quick_gate == "passed: concat-film (5 seeds), epsilon (8 seeds), standard (8 seeds)"


def test_one_that_failed_and_one_that_was_never_tried_are_refused(passes, trained, capsys):
    assert "'cross-attn' of the conditioning track failed it on 5 seeds (too far" in refused(
        capsys, "--conditioner", "cross-attn"
    )
    assert "'adanorm' of the conditioning track was never tested" in refused(capsys, "--conditioner", "adanorm")
    assert "'x0pred' of the prediction track was never" in refused(capsys, "--parameterization", "x0")
    assert "unknown conditioning 'nonsense'; known: add" in refused(capsys, "--conditioner", "nonsense")
    assert "(passed: concat-film)" in refused(capsys, "--conditioner", "add")
    assert not trained


def test_the_stubborn_are_let_through_on_record(passes, trained, tmp_path):
    main(
        ["train", "--preset", "cifar10-small", "--conditioner", "cross-attn", "--ungated", "--out", str(tmp_path / "a")]
    )
    assert trained[0].quick_gate == "not asked for (--ungated)"


def test_small_runs_ask_for_nothing(passes, trained, tmp_path):
    main(["train", "--preset", "digits", "--conditioner", "cross-attn", "--out", str(tmp_path / "a")])
    assert trained[0].quick_gate == ""


def test_without_a_record_nothing_has_passed(tmp_path):
    with pytest.raises(ValueError, match="never tested"):
        quick_gate.require(preset("cifar10-small"), tmp_path / "none.json")


def test_designs_go_by_the_names_of_their_tracks():
    small = preset("cifar10-small")
    assert quick_gate.designs(small) == [
        ("conditioning", "concat-film"), ("prediction", "epsilon"), ("architecture", "standard"),
    ]  # fmt: skip
    free = replace(small, conditioning="none", parameterization="v", unet=replace(small.unet, attention_levels=()))
    assert quick_gate.designs(free) == [("prediction", "vpred"), ("architecture", "no-attn")]
    assert set(quick_gate.FULL_SCALE) <= set(PRESETS)


def test_the_record_that_ships_lets_the_plan_s_baselines_through():
    """Which designs passed is measured, and may change; that the protocol's own first baseline has not failed, not."""
    assert "concat-film" in quick_gate.require(preset("cifar10-small"))
