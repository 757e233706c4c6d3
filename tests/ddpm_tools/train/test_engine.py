"""How a step is computed never changes what is computed, and a gradient that is not finite goes no further."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ddpm_core import checkpoint
from ddpm_core.conditioning import STRATEGIES, strategy
from ddpm_core.config import Preset
from ddpm_core.data import digits
from ddpm_core.training import train
from ddpm_core.unet import Conditioning, build_unet
from ddpm_tools.train.engine import FastEngine, start
from ddpm_tools.train.resume import save_training
from ddpm_tools.train.speed import Speed
from tests.ddpm_core.test_training import CONFIG, UNET, bound


def begin(speed=None, config=CONFIG, conditioning=None, ranks=None):
    """A fresh state, and the engine that trains it."""
    network = build_unet(UNET, conditioning or strategy("adaln_zero"))
    state, speed = start(bound(network), config, speed or Speed())
    return state, FastEngine(state, speed, config, *([ranks] if ranks else []))


def steps_of(state, engine, config=CONFIG, data=None):
    return train(state, engine.batches(data or digits(), state.step), config, engine=engine)


def run(state, engine, config=CONFIG, until=None, data=None):
    for report in steps_of(state, engine, config, data):
        if report.step == until:
            break
    return state


def weights(state):
    return [*state.model.state_dict().values(), *state.ema.module.state_dict().values()]


def assert_same(a, b, **tolerance):
    for x, y in zip(weights(a), weights(b)):
        torch.testing.assert_close(x, y, **tolerance or {"rtol": 0, "atol": 0})


class Spikes(nn.Module):
    """A conditioner whose output is nan at the calls of one training step."""

    calls, bad = 0, 0

    def __init__(self, channels, dim):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, h, emb):
        if self.training:
            Spikes.calls += 1
        return h * self.scale * (float("nan") if self.training and Spikes.calls == Spikes.bad else 1.0)


@pytest.mark.parametrize("speed", [Speed(), Speed(fused=True), Speed(fused=True, check_every=5)])
def test_a_spike_stops_the_run_and_reaches_neither_weights_nor_average_nor_checkpoint(tmp_path, monkeypatch, speed):
    """Also where the loss is looked at every fifth step only: the spike at step 6 is seen at step 10."""
    spiky = Conditioning(lambda t, c: t + c, Spikes)
    monkeypatch.setitem(STRATEGIES, "spiky", spiky)
    Spikes.calls = 0
    preset = Preset(unet=UNET, conditioning="spiky", train=CONFIG)
    per_step = len(build_unet(UNET, spiky).conditioners)
    Spikes.bad = 6 * per_step + 3
    state, engine = begin(speed, conditioning=spiky)
    seen = 0
    with pytest.raises(FloatingPointError, match="not finite at step 6; try a lower learning rate"):
        for report in steps_of(state, engine):
            seen = report.step
            if seen == 6:
                engine.verify()  # as everyone does before saving
                save_training(tmp_path / "good", state, preset)
    assert seen == (9 if speed.check_every == 5 else 6)
    assert all(w.isfinite().all() for w in weights(state))
    with pytest.raises(FloatingPointError):
        engine.verify()
    assert int(checkpoint.read(tmp_path / "good")[0]["step"][0]) == 6


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a GPU: reading a number back, and indices whose number is not known."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            Waits.count += 1
        return func(*args, **(kwargs or {}))


def test_between_two_looks_no_step_waits_for_the_device():
    steps = steps_of(*begin(Speed(fused=True, check_every=5)))
    next(steps)
    Waits.count = 0
    with Waits():
        for _ in range(3):
            next(steps)
        assert Waits.count == 0
        next(steps)
        assert Waits.count == 1


@pytest.fixture(scope="module")
def plain():
    torch.set_num_threads(1)
    return run(*begin())


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({"channels_last": True}, 1e-4),
        ({"fused": True}, 1e-4),
        ({"compile": "eager"}, 1e-4),
        ({"micro_batches": 4}, 1e-4),
        ({"bf16": True}, 2e-2),
        ({"bf16": True, "channels_last": True, "fused": True, "compile": "eager", "micro_batches": 2}, 2e-2),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)
def test_speed_leaves_the_mathematics_alone(plain, changes, tolerance):
    """Weights after 12 steps, each of which moves them by up to 2e-3."""
    fast = run(*begin(Speed(**changes)))
    assert_same(fast, plain, rtol=0, atol=tolerance)
    assert all(w.dtype == torch.float32 for w in weights(fast))
    assert "compile" in changes or not all(torch.equal(a, b) for a, b in zip(weights(fast), weights(plain)))


@pytest.mark.parametrize("changes", [{"micro_batches": 4}, {"bf16": True}])
def test_losses_and_gradients_are_those_of_the_whole_batch_in_float32(changes):
    """AdamW would hide a gradient that is four times too large; a loss in bfloat16 has 8 bits."""
    config = replace(CONFIG, steps=2)
    plain, fast = (list(steps_of(*begin(speed, config), config)) for speed in (Speed(), Speed(**changes)))
    for a, b in zip(plain, fast):
        tolerance = {"rtol": 5e-2, "atol": 1e-2} if "bf16" in changes else {}
        torch.testing.assert_close(b.loss, a.loss, **tolerance)
        torch.testing.assert_close(b.norm, a.norm, **tolerance)
    assert any(b.loss != b.loss.bfloat16() for b in fast)
