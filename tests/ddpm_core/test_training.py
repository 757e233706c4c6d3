from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.utils._python_dispatch import TorchDispatchMode

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.data import digits
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainConfig, TrainState, batches, drop_labels, lr_at, train
from ddpm_core.unet import Conditioning, UNetConfig, build_unet
from ddpm_tools.train.speed import Hardware, Speed, resolve

UNET = UNetConfig(1, 8, 10, (32, 32), 1, cond_dim=32)
CONFIG = TrainConfig(steps=12, lr=2e-3, batch_size=16, warmup=2, ema_decay=0.9)


def start(name="adaln_zero", config=CONFIG, speed=None):
    return TrainState.start(build_unet(UNET, strategy(name)), config, speed)


def weights(state):
    return [*state.model.state_dict().values(), *state.ema.module.state_dict().values()]


def assert_same(a, b, **tolerance):
    for x, y in zip(weights(a), weights(b)):
        torch.testing.assert_close(x, y, **tolerance or {"rtol": 0, "atol": 0})


def run(state, config=CONFIG, until=None, data=None):
    for report in train(state, data or digits(), DiffusionSchedule.named(), config):
        if report.step == until:
            break
    return state


def test_it_learns():
    config = replace(CONFIG, steps=150, batch_size=64)
    losses = [float(s.loss) for s in train(start(config=config), digits(), DiffusionSchedule.named(), config)]
    assert sum(losses[-20:]) / 20 < 0.35 < 0.9 < losses[0]  # predicting nothing at all costs 1


@pytest.mark.parametrize("flip", [False, True])
def test_resume_is_bit_identical(tmp_path, flip):
    """In the middle of the second epoch: 96 images are 6 batches."""
    few, config = (
        replace(digits(), images=digits().images[:96], labels=digits().labels[:96]),
        replace(CONFIG, flip=flip),
    )
    preset = Preset(unet=UNET, conditioning="adaln_zero", train=config)
    whole, half = (run(start(config=config), config, until, few) for until in (None, 8))
    checkpoint.save_training(tmp_path / "run", half, preset)
    again = run(checkpoint.resume(tmp_path / "run", preset, start(config=config)), config, None, few)
    assert again.step == whole.step == 12
    assert_same(again, whole)


def test_flips_are_per_image_and_change_nothing_else():
    coins = []
    streams = [batches(digits(), replace(CONFIG, batch_size=400, flip=f)) for f in (False, True)]
    for _ in range(2):
        plain, flipped = (next(s)[0] for s in streams)
        mirrored = (flipped == plain.flip(-1)).flatten(1).all(1)
        same = (flipped == plain).flatten(1).all(1)
        assert (mirrored | same).all()
        assert mirrored.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 20)
        coins.append(mirrored)
    assert (coins[0] != coins[1]).double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 20)  # every batch anew


def test_a_design_that_draws_random_numbers_shifts_nothing_else():
    class Draws(nn.Module):
        def __init__(self, channels, dim):
            super().__init__()

        def forward(self, h, emb):
            torch.rand(17)
            return h

    quiet = TrainState.start(build_unet(UNET, strategy("none")), CONFIG)
    noisy = TrainState.start(build_unet(UNET, Conditioning(lambda t, c: t, Draws)), CONFIG)
    run(quiet), run(noisy)
    assert torch.equal(quiet.model.conv_in.weight, noisy.model.conv_in.weight)


def test_labels_are_dropped_one_by_one_at_the_asked_rate(rng):
    labels = torch.arange(10).repeat(2000)
    before = labels.clone()
    dropped = drop_labels(labels, 0.15, 10, rng)
    assert torch.equal(labels, before)
    share = (dropped == 10).double().mean().item()
    assert share == pytest.approx(0.15, abs=4 * (0.15 * 0.85 / 20_000) ** 0.5)
    assert 0 < (dropped.view(-1, 10)[:50] == 10).any(1).sum() < 50  # neither all of a batch nor none
    assert torch.equal(dropped[dropped != 10], labels[dropped != 10])
    assert (drop_labels(labels, 1.0, 10) == 10).all() and torch.equal(drop_labels(labels, 0.0, 10), labels)


def test_every_epoch_sees_every_image_once():
    data = digits()
    config = replace(CONFIG, batch_size=100)
    order = batches(data, config)
    images = torch.cat([next(order)[0] for _ in range(29)]).flatten(1)[: 2 * len(data)]
    for epoch in (images[: len(data)], images[len(data) :]):
        assert torch.equal(epoch.sort(0).values, data.floats().flatten(1).sort(0).values)
    assert not torch.equal(images[:50], images[len(data) : len(data) + 50])
    late = batches(data, config, start=20)
    assert torch.equal(next(late)[0].flatten(1), images[2000:2100])


def test_learning_rate_warms_up_and_decays():
    config = TrainConfig(steps=1000, lr=1.0, warmup=1000)
    rates = [lr_at(i, config) for i in range(1000)]
    assert rates[0] == pytest.approx(0.01) and max(rates) == rates[99] == rates[100] == 1.0  # a tenth of the run
    assert rates[550] == pytest.approx(0.5, abs=1e-3) and rates[-1] < 1e-5


@pytest.mark.parametrize(("steps", "warmup", "effective"), [(300, 20, 20), (300, 1000, 30), (9, 5, 0)])
def test_learning_rate_equals_torchs_schedulers(steps, warmup, effective):
    config = TrainConfig(steps=steps, lr=2e-4, warmup=warmup)
    opt = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=config.lr)
    theirs = CosineAnnealingLR(opt, steps - effective)
    if effective:
        rise = LinearLR(opt, start_factor=1 / effective, total_iters=effective - 1)
        theirs = SequentialLR(opt, [rise, theirs], [effective])
    for i in range(steps):
        assert lr_at(i, config) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9, abs=1e-15)
        opt.step()
        theirs.step()


def test_a_loss_that_is_not_finite_stops_the_run_with_a_sentence():
    class Bad(nn.Module):
        def __init__(self, channels, dim):
            super().__init__()

        def forward(self, h, emb):
            return h / 0

    state = TrainState.start(build_unet(UNET, Conditioning(lambda t, c: t, Bad)), CONFIG)
    before = state.model.conv_in.weight.clone()
    with pytest.raises(FloatingPointError, match="not finite at step 0; try a lower learning rate"):
        run(state)
    assert torch.equal(state.model.conv_in.weight, before)


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
def test_a_spike_stops_the_run_and_reaches_neither_weights_nor_average_nor_checkpoint(tmp_path, speed):
    """Also where the loss is looked at every fifth step only: the spike at step 6 is seen at step 10."""
    spiky = Conditioning(lambda t, c: t + c, Spikes)
    Spikes.calls = 0
    preset = Preset(unet=UNET, train=CONFIG)
    per_step = len(build_unet(UNET, spiky).conditioners)
    Spikes.bad = 6 * per_step + 3
    state = TrainState.start(build_unet(UNET, spiky), CONFIG, speed)
    seen = 0
    with pytest.raises(FloatingPointError, match="not finite at step 6; try a lower learning rate"):
        for report in train(state, digits(), DiffusionSchedule.named(), CONFIG):
            seen = report.step
            if seen == 6:
                checkpoint.save_training(tmp_path / "good", state, preset)
    assert seen == (9 if speed.check_every == 5 else 6)
    assert all(w.isfinite().all() for w in weights(state))
    with pytest.raises(FloatingPointError):
        checkpoint.save_training(tmp_path / "good", state, preset)
    assert int(checkpoint.read(tmp_path / "good")[0]["step"][0]) == 6


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a GPU: reading a number back, and indices whose number is not known."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            Waits.count += 1
        return func(*args, **(kwargs or {}))


def test_between_two_looks_no_step_waits_for_the_device():
    steps = train(start(speed=Speed(fused=True, check_every=5)), digits(), DiffusionSchedule.named(), CONFIG)
    next(steps)
    Waits.count = 0
    with Waits():
        for _ in range(3):
            next(steps)
        assert Waits.count == 0
        next(steps)
        assert Waits.count == 1


def test_what_auto_means():
    settings = {"fused", "bf16", "channels_last"}

    def on(speed):
        return {k for k in settings if getattr(speed, k)}

    cpu = resolve(Speed(), Hardware("cpu"), 35_000, 10**9)
    assert on(cpu) == set() and cpu.compile == "off" and cpu.check_every == 1 and cpu.data_on_device
    h100 = Hardware("cuda", free_bytes=80 * 10**9, bf16=True, compiler=True)
    gpu = resolve(Speed(), h100, 35_000, 10**9)
    assert on(gpu) == settings and gpu.compile == "default" and gpu.check_every > 1 and gpu.data_on_device
    assert resolve(Speed(), h100, 600).compile == "off"  # a run of seconds is over before its network is compiled
    assert not resolve(Speed(), h100, 35_000, 60 * 10**9).data_on_device
    old = resolve(Speed(), Hardware("cuda", 8 * 10**9), 35_000, 10**9)
    assert on(old) == {"fused"} and old.compile == "off"
    assert resolve(Speed(bf16=False, compile="eager"), h100, 35_000) == replace(gpu, bf16=False, compile="eager")
    assert on(resolve(Speed(), Hardware("mps"), 35_000)) == set()
    assert resolve(Speed(fused=False), h100, 35_000).check_every == 1
    with pytest.raises(ValueError, match="needs fused=on"):
        resolve(Speed(check_every=9), Hardware("cpu"), 35_000)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"compile": "yes"}, "compile must be one of auto, off"),
        ({"bf16": "maybe"}, "bf16 must be on, off or auto"),
        ({"micro_batches": 0}, "micro_batches must be a number from 1 on"),
        ({"check_every": "often"}, "check_every must be a number"),
        ({"compile": "graphs", "micro_batches": 2}, "use compile=default"),
    ],
)
def test_wrong_speeds_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Speed(**wrong)


@pytest.fixture(scope="module")
def plain():
    torch.set_num_threads(1)
    return run(start())


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
    fast = run(start(speed=Speed(**changes)))
    assert_same(fast, plain, rtol=0, atol=tolerance)
    assert all(w.dtype == torch.float32 for w in weights(fast))
    assert "compile" in changes or not all(torch.equal(a, b) for a, b in zip(weights(fast), weights(plain)))


@pytest.mark.parametrize("changes", [{"micro_batches": 4}, {"bf16": True}])
def test_losses_and_gradients_are_those_of_the_whole_batch_in_float32(changes):
    """AdamW would hide a gradient that is four times too large; a loss in bfloat16 has 8 bits."""
    plain, fast = (
        list(train(start(speed=speed), digits(), DiffusionSchedule.named(), replace(CONFIG, steps=2)))
        for speed in (Speed(), Speed(**changes))
    )
    for a, b in zip(plain, fast):
        tolerance = {"rtol": 5e-2, "atol": 1e-2} if "bf16" in changes else {}
        torch.testing.assert_close(b.loss, a.loss, **tolerance)
        torch.testing.assert_close(b.norm, a.norm, **tolerance)
    assert any(b.loss != b.loss.bfloat16() for b in fast)


@pytest.mark.parametrize(("first", "then"), [(True, True), (True, False), (False, True)])
def test_a_run_may_go_on_at_another_speed(plain, tmp_path, first, then):
    speeds = [Speed(channels_last=on, fused=on) for on in (first, then)]
    preset = Preset(unet=UNET, conditioning="adaln_zero", train=CONFIG)
    checkpoint.save_training(tmp_path / "run", run(start(speed=speeds[0]), until=6), preset)
    again = run(checkpoint.resume(tmp_path / "run", preset, start(speed=speeds[1])))
    assert_same(again, plain, rtol=0, atol=1e-4)


class Words(nn.Module):
    """A network whose condition is a text of 5 tokens, 0 being the empty one."""

    null_cond = torch.zeros(1, 5, dtype=torch.long)

    def __init__(self):
        super().__init__()
        self.table, self.conv, self.seen = nn.Embedding(9, 1), nn.Conv2d(1, 1, 3, padding=1), []

    def forward(self, x, t, y):
        self.seen.append(y)
        return self.conv(x) + self.table(y).mean(1)[..., None, None]


def test_texts_are_dropped_whole():
    tokens = torch.arange(1, 6).expand(len(digits()), 5)
    config = replace(CONFIG, p_uncond=0.5, batch_size=64)
    state = TrainState.start(Words(), config)
    run(state, config, data=replace(digits(), labels=tokens))
    y = torch.cat(state.model.seen)
    empty = (y == 0).all(1)
    assert torch.equal(y[~empty], tokens[:1].expand(int((~empty).sum()), 5))
    assert empty.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / len(y) ** 0.5)
