from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.utils.data import DataLoader, TensorDataset

from ddpm_core.conditioning import strategy
from ddpm_core.data import digits
from ddpm_core.diffusion import Diffusion
from ddpm_core.parameterization import EPSILON
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainConfig, TrainState, batches, drop_labels, lr_at, train
from ddpm_core.unet import Conditioning, UNetConfig, build_unet

UNET = UNetConfig(1, 8, 10, (32, 32), 1, cond_dim=32)
CONFIG = TrainConfig(steps=12, lr=2e-3, batch_size=16, warmup=2, ema_decay=0.9)


def bound(network):
    return Diffusion(network, DiffusionSchedule.named(), EPSILON)


def start(name="adaln_zero", config=CONFIG):
    return TrainState.start(bound(build_unet(UNET, strategy(name))), config)


def run(state, config=CONFIG, data=None):
    for _ in train(state, digits() if data is None else data, config):
        pass
    return state


def test_it_learns():
    config = replace(CONFIG, steps=80, batch_size=32, lr=5e-3)
    losses = [float(s.loss) for s in train(start(config=config), digits(), config)]
    assert sum(losses[-20:]) / 20 < 0.3 < 0.9 < losses[0]  # predicting nothing at all costs 1


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

    quiet = start("none")
    noisy = TrainState.start(bound(build_unet(UNET, Conditioning(lambda t, c: t, Draws))), CONFIG)
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

    state = TrainState.start(bound(build_unet(UNET, Conditioning(lambda t, c: t, Bad))), CONFIG)
    before = state.model.conv_in.weight.clone()
    with pytest.raises(FloatingPointError, match="not finite at step 0; try a lower learning rate"):
        run(state)
    assert torch.equal(state.model.conv_in.weight, before)


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
    state = TrainState.start(bound(Words()), config)
    run(state, config, data=replace(digits(), labels=tokens))
    y = torch.cat(state.model.seen)
    empty = (y == 0).all(1)
    assert torch.equal(y[~empty], tokens[:1].expand(int((~empty).sum()), 5))
    assert empty.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / len(y) ** 0.5)


def same(a, b):
    return all(
        torch.equal(x, y)
        for m, n in ((a.model, b.model), (a.ema.module, b.ema.module))
        for x, y in zip(m.state_dict().values(), n.state_dict().values())
    )


def test_a_loader_of_the_same_batches_trains_the_same_network():
    given = list(islice(batches(digits(), CONFIG), 12))
    assert same(run(start(), data=given), run(start()))
    again = [given[i % 5] for i in range(12)]
    assert same(run(start(), data=given[:5]), run(start(), data=again))  # one pass after another
    assert not same(run(start(), data=given[:5]), run(start()))


def test_a_loader_of_torch_will_do():
    data = digits()
    loader = DataLoader(TensorDataset(data.floats(), data.labels), batch_size=100, shuffle=True)
    config = replace(CONFIG, steps=40)  # 15 batches a pass, the last of 37 images
    state = start(config=config)
    losses = [float(s.loss) for s in train(state, loader, config)]
    assert state.step == len(losses) == 40 and sum(losses[-5:]) < 0.75 * sum(losses[:5])


@pytest.mark.parametrize("loader", [list, lambda: iter(list(islice(batches(digits(), CONFIG), 3)))])
def test_a_loader_that_has_no_more_is_one_sentence(loader):
    state = start()
    with pytest.raises(ValueError, match="the loader of training batches is empty, or can be gone through only once"):
        run(state, data=loader())
    assert state.step in (0, 3)


def test_latents_are_trained_as_they_are(rng):
    """Floating-point images, of any range and number of channels, are not rescaled."""
    latents = 3 * torch.randn(96, 4, 8, 8, generator=rng)
    data = replace(digits(), images=latents, labels=digits().labels[:96])
    x0, y = next(batches(data, replace(CONFIG, batch_size=96)))
    where = (x0[:, None] == latents).flatten(2).all(2)  # (96, 96): which latent each one is
    assert torch.equal(where.sum(1), torch.ones(96, dtype=torch.long)) and x0.abs().max() > 3
    assert torch.equal(y, data.labels[where.int().argmax(1)])
    network = build_unet(replace(UNET, image_channels=4), strategy("add"))
    state = run(TrainState.start(replace(bound(network), clip=False), CONFIG), data=data)
    assert state.step == 12 and all(p.isfinite().all() for p in state.model.parameters())
