from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.data import digits
from ddpm_core.ema import EMA
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainConfig, TrainState, batches, drop_labels, lr_at, train
from ddpm_core.unet import Conditioning, UNetConfig, build_unet

UNET = UNetConfig(1, 8, 10, (32, 32), 1, cond_dim=32)
CONFIG = TrainConfig(steps=12, lr=2e-3, batch_size=16, warmup=2, ema_decay=0.9)


def start(name="adaln_zero", config=CONFIG):
    return TrainState.start(build_unet(UNET, strategy(name)), config)


def run(state, config=CONFIG, until=None):
    for report in train(state, digits(), DiffusionSchedule.named(), config):
        if report.step == until:
            break
    return state


def test_it_learns():
    config = replace(CONFIG, steps=150, batch_size=64)
    losses = [float(s.loss) for s in train(start(config=config), digits(), DiffusionSchedule.named(), config)]
    assert sum(losses[-20:]) / 20 < 0.35 < 0.9 < losses[0]  # predicting nothing at all costs 1


def test_resume_is_bit_identical(tmp_path):
    whole = run(start())
    half = run(start(), until=5)
    preset = Preset(unet=UNET, conditioning="adaln_zero", train=CONFIG)
    checkpoint.save_training(tmp_path / "run", half, preset)
    again = run(checkpoint.resume(tmp_path / "run", preset, start()))
    assert again.step == whole.step == 12
    for a, b in ((again.model, whole.model), (again.ema.module, whole.ema.module)):
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


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


def test_ema_equals_torch_after_its_warmup_and_by_hand_before():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    ema, by_hand = EMA(model, decay=0.5), model[0].weight.detach().clone()
    for k in range(1, 6):
        with torch.no_grad():
            model[0].weight.add_(torch.randn_like(model[0].weight))
            model[1].running_mean.add_(1.0)
            model[1].num_batches_tracked.add_(1)
        ema.update(model)
        d = min(0.5, (1 + k) / (10 + k))
        by_hand = d * by_hand + (1 - d) * model[0].weight.detach()
    torch.testing.assert_close(ema.module[0].weight, by_hand)
    assert ema.module[1].num_batches_tracked == 5 and 0 < ema.module[1].running_mean[0] < 5
    assert not ema.module.training and not any(p.requires_grad for p in ema.module.parameters())

    ema.updates = 10_000  # far beyond the warm-up: PyTorch's own average from here on
    theirs = AveragedModel(ema.module, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=False)
    theirs.n_averaged.fill_(1)
    for _ in range(3):
        with torch.no_grad():
            model[0].weight.mul_(1.5)
        ema.update(model)
        theirs.update_parameters(model)
    torch.testing.assert_close(ema.module[0].weight, theirs.module[0].weight)
