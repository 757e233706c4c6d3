"""One window of a GPU at reduced size: stages end in time, an interrupted training travels and goes on, records are
honest."""

import importlib
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.training import batches, train
from ddpm_tools.presets import preset
from ddpm_tools.reports import results
from ddpm_tools.train import resume, travel
from ddpm_tools.train.engine import start
from ddpm_tools.train.interrupt import Request
from ddpm_tools.train.runs import training_data
from ddpm_tools.train.speed import Speed

ROOT = Path(__file__).resolve().parents[1]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("gpu_window")


@pytest.fixture
def deadline(script):
    return importlib.import_module("deadline")


def window(script, capsys, *options):
    with pytest.raises(SystemExit) as e:
        script.main([str(o) for o in options])
    told = capsys.readouterr()
    return e.value.code, told.out, told.err


def test_without_a_gpu_it_says_so_in_a_sentence(script, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, out, err = window(script, capsys, "--out", tmp_path / "none")
    assert (code, out, err.count("\n")) == (2, "", 1) and "there is no GPU here" in err
    assert not (tmp_path / "none").exists()
    code, _, err = window(script, capsys, "--reduced", "--data", tmp_path / "absent.zip", "--out", tmp_path / "none")
    assert code == 2 and "absent.zip" in err and err.count("\n") == 1


def test_a_stage_that_ignores_its_deadline_is_killed_at_it(deadline, tmp_path):
    began = time.monotonic()
    end = began + 4
    rc = deadline.within([sys.executable, "-c", DEAF], tmp_path / "log", end, 3.0, Request(), lambda: None)
    assert rc is None and time.monotonic() - began < 6
    assert (tmp_path / "log").read_text() == "deaf\n"  # it had been deaf to the request, and not just slow to start
    quick = [sys.executable, "-c", "raise SystemExit(7)"]
    assert deadline.within(quick, tmp_path / "log", time.monotonic() + 30, 3.0, Request(), lambda: None) == 7


def test_what_does_not_fit_is_left_out_with_a_sentence(script, capsys, tmp_path):
    code, out, _ = window(script, capsys, "--reduced", "--minutes", 0.1, "--out", tmp_path)
    told = json.loads((tmp_path / "window.json").read_text())
    (last,) = told["windows"]
    assert code == 0 and last["seconds"] < 6 and "speed" not in told
    assert all("left out" in said for said in last["said"].values()) and out.count("left out") == 3


def test_a_window_ends_in_the_middle_and_the_next_one_goes_on(script, capsys, monkeypatch, tmp_path):
    out, bag, second = tmp_path / "out", tmp_path / "bag", tmp_path / "second"
    began, skipped = time.monotonic(), []

    def clock():
        """The window's time is up for training as soon as three steps are saved; else this machine's own pace."""
        if not skipped and resume.exists(out / "run") and checkpoint.load(out / "run").step >= 3:
            skipped.append(began + 0.8 * 3000 - 3 - time.monotonic())
        return time.monotonic() + sum(skipped)

    monkeypatch.setattr(script, "now", clock)
    options = ["--reduced", "--minutes", 3000 / 60, "--travel", bag, "--part-mib", 0.5]
    code, said, _ = window(script, capsys, *options, "--out", out)
    told = json.loads((bag / "window.json").read_text())
    step = told["training"]["step"]
    assert code == 0 and told["reduced"] and 3 <= step < 120 == told["training"]["of"]
    assert told["windows"][0]["said"]["training"] == f"stopped: step {step} of 120"
    assert told["windows"][0]["seconds"] < 3000
    assert told["speed"]["reduced"] and told["speed"]["presets"]["cifar10-small"]["train_steps_per_s"] > 0
    (record,) = results.read_all(bag / "results")
    assert record.reduced and record.steps == step and f"step-{step}-of-120" in record.name
    assert told["figures"] == {"step": step, "of": 120, "n": 16, "record": f"results/{record.name}.json"}
    assert all(f.stat().st_size <= 2**19 for f in bag.rglob("state*")) and len(list(bag.glob("state-*.part"))) > 1

    monkeypatch.setattr(script, "now", time.monotonic)  # another machine, which has what travelled and nothing else
    code, said, _ = window(script, capsys, *options, "--out", second)
    told = json.loads((bag / "window.json").read_text())
    steps = [int(line.split()[2]) for line in said.splitlines() if line.startswith("training: step")]
    assert code == 0 and steps[0] >= step and steps[-1] == told["training"]["step"] == 120
    assert told["windows"][1]["said"]["speed"] == "done before" and len(told["windows"]) == 2
    assert {"step": 120, "n": 16}.items() <= told["figures"].items()
    (record,) = results.read_all(bag / "results")
    assert record.reduced and record.steps == 120 and checkpoint.load(bag.parent / "second/run").step == 120

    code, said, _ = window(script, capsys, *options, "--out", second)
    assert code == 0 and said.count("done before") == 3
    with pytest.raises(ValueError, match="reduced"):
        script.remembered(script.argparse.Namespace(out=second, records=bag, travel=bag, reduced=False))


def test_a_state_that_travelled_goes_on_as_the_one_that_stayed(tmp_path):
    config = replace(preset("digits"), train=replace(preset("digits").train, batch_size=8))
    data = training_data(config)

    def fresh():
        return start(config.diffusion(checkpoint.network_of(config)), config.train, Speed())[0]

    def weights(state):
        return torch.cat([p.detach().flatten() for p in state.model.parameters()])

    def go_on(state, steps):
        taken = train(state, batches(data, config.train, state.step), config.train)
        return sum(float(next(taken).loss) for _ in range(steps)) / steps

    state = fresh()
    go_on(state, 20)
    resume.save_training(tmp_path / "stayed", state, config, provenance={"data": "/somebody/digits", "minutes": 3})
    files = travel.pack(tmp_path / "stayed", tmp_path / "bag", 100_000)
    assert max(f.stat().st_size for f in files) <= 100_000
    ratio = sum(f.stat().st_size for f in files) / (tmp_path / "stayed.safetensors").stat().st_size
    assert ratio < 0.4 and b"somebody" not in files[0].read_bytes()
    travel.unpack(tmp_path / "bag", tmp_path / "came", config.data)
    stayed, calm, came = (resume.resume(tmp_path / n, config, fresh()) for n in ("stayed", "stayed", "came"))
    assert came.step == 20 and came.ema.updates == stayed.ema.updates
    for entry in calm.optimizer.state.values():
        entry["exp_avg"].zero_()  # all that is left behind
    before = weights(stayed)
    expected, loss = go_on(calm, 10), go_on(came, 10)
    assert (weights(came) - weights(calm)).norm() < 0.03 * (weights(calm) - before).norm()  # else it is rounding alone
    assert abs(loss / expected - 1) < 0.01
    files[-1].write_bytes(files[-1].read_bytes()[::-1])
    with pytest.raises(CheckpointError, match="not from one save"):
        travel.unpack(tmp_path / "bag", tmp_path / "again", config.data)
    files[-1].unlink()
    with pytest.raises(CheckpointError, match="not hold a complete state"):
        travel.unpack(tmp_path / "bag", tmp_path / "again", config.data)
