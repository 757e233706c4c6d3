"""A long run finished early: its learning rate against the formula, its weights against an unbroken run."""

from dataclasses import replace
from math import cos, pi

import pytest

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import Preset
from ddpm_tools.cli.main import main
from ddpm_tools.train.beginning import Source
from ddpm_tools.train.callbacks import CallbackConfig
from ddpm_tools.train.interrupt import Interrupted, Request
from ddpm_tools.train.logs import Log
from ddpm_tools.train.runs import train_run
from tests.ddpm_core.test_training import CONFIG, UNET
from tests.ddpm_tools.train.test_runs import same

LONG = Preset(unet=UNET, conditioning="adaln_zero", train=replace(CONFIG, steps=40))  # warm-up 2
QUIET = CallbackConfig(progress=False)


@pytest.fixture
def rates(monkeypatch):
    """The learning rates of all steps by number; `rates["stop"]` is where a run is interrupted."""
    seen, now, real = {}, [], Log.step

    def step(self, report):
        real(self, report)
        seen[report.step], now[:] = report.lr, [report.step]

    monkeypatch.setattr(Log, "step", step)
    monkeypatch.setattr(Request, "__bool__", lambda self: now == [seen.get("stop")])
    return seen


def begun(rates, out, stop=10, config=LONG):
    rates["stop"] = stop
    with pytest.raises(Interrupted):
        train_run(config, out, callbacks=QUIET)
    rates["stop"] = None
    return out


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_rate_leaves_the_schedule_and_falls_to_zero(rates, tmp_path, optimizer):
    config, out = replace(LONG, optimizer=optimizer), tmp_path / "early"
    run = begun(rates, tmp_path / "run", config=config)
    train_run(config, out, callbacks=QUIET, source=Source(run, 16))
    before = CONFIG.lr * 0.5 * (1 + cos(pi * (10 - 2) / (40 - 2)))  # the schedule's rate where it is left
    assert rates[11] == pytest.approx(before)
    assert rates[15] == pytest.approx(before * (1 - 4**0.5 / 16**0.5))  # step 15 is the fifth: four of 16 are done
    assert 0 < rates[26] < 0.04 * before and max(k for k in rates if k != "stop") == 26
    loaded = checkpoint.load(out)
    assert loaded.step == loaded.preset.train.steps == 26
    assert loaded.record["provenance"]["cooldown"] == {"start": 10, "planned": 40}
    minutes = [checkpoint.read(path)[1]["provenance"]["cpu_seconds"] for path in (run, out)]
    assert minutes[1] > minutes[0] > 0  # it counts what the run had taken
    rates.clear()
    train_run(config, out, callbacks=QUIET)  # finished: nothing is trained again
    assert not rates


def test_an_interrupted_cooldown_goes_on_bit_for_bit_and_so_does_the_run_that_it_left(rates, tmp_path):
    run, straight, broken = begun(rates, tmp_path / "run"), tmp_path / "straight", tmp_path / "broken"
    train_run(LONG, straight, callbacks=QUIET, source=Source(run, 8))
    rates["stop"] = 13
    with pytest.raises(Interrupted):
        train_run(LONG, broken, callbacks=QUIET, source=Source(run, 8))
    rates["stop"] = None
    train_run(LONG, broken, callbacks=QUIET, source=Source(run, 8))  # the same call
    assert same(straight, broken)
    assert same(train_run(LONG, run, callbacks=QUIET), train_run(LONG, tmp_path / "whole", callbacks=QUIET))


def test_what_cannot_cool_down(rates, tmp_path):
    out = tmp_path / "early"
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*run: run.safetensors is missing"):
        train_run(LONG, out, callbacks=QUIET, source=Source(tmp_path / "run", 8))
    run = begun(rates, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"run has only 30 of its 40 steps left; choose a smaller --cooldown"):
        train_run(LONG, out, callbacks=QUIET, source=Source(run, 30))
    with pytest.raises(CheckpointError, match=r"run exists, and a cooldown must not replace it; choose another --out"):
        train_run(LONG, run, callbacks=QUIET, source=Source(run, 8))
    with pytest.raises(CheckpointError, match=r"run was trained with another config \(train.steps differ\)"):
        train_run(replace(LONG, train=replace(LONG.train, steps=9)), out, callbacks=QUIET, source=Source(run, 8))
    rates["stop"] = 12
    with pytest.raises(Interrupted):
        train_run(LONG, out, callbacks=QUIET, source=Source(run, 8))
    with pytest.raises(CheckpointError, match=r"cooling down since step 10 and will end at step 18; for another"):
        train_run(LONG, out, callbacks=QUIET, source=Source(run, 5))
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--cooldown", "5", "--out", str(tmp_path / "other")])
    assert stopped.value.code == 2
