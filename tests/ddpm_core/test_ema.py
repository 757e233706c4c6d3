import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ddpm_core.ema import EMA


def test_by_hand_while_warming_up():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    ema, by_hand, mean = EMA(model, decay=0.5), model[0].weight.detach().clone(), 0.0
    for k in range(1, 6):
        with torch.no_grad():
            model[0].weight.add_(torch.randn_like(model[0].weight))
            model[1].running_mean.add_(1.0)
            model[1].num_batches_tracked.add_(1)
        ema.update(model)
        d = min(0.5, (1 + k) / (10 + k))
        by_hand = d * by_hand + (1 - d) * model[0].weight.detach()
        mean = d * mean + (1 - d) * k
    torch.testing.assert_close(ema.module[0].weight, by_hand)
    torch.testing.assert_close(ema.module[1].running_mean, torch.full((2,), mean))
    assert ema.module[1].num_batches_tracked == 5
    assert not ema.module.training and not any(p.requires_grad for p in ema.module.parameters())


def test_closed_form_of_a_constant():
    """From 0 towards 1, what is left of the start after n updates is the product of the decays."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    ema = EMA(model, decay=0.9)
    nn.init.ones_(model.weight)
    left = 1.0
    for k in range(1, 200):
        ema.update(model)
        left *= min(0.9, (1 + k) / (10 + k))
        assert 1 - float(ema.module.weight) == pytest.approx(left, abs=1e-6)


def test_torchs_own_average_after_the_warmup():
    model = nn.Sequential(nn.Linear(3, 2), nn.Conv2d(1, 2, 3))
    ema = EMA(model, decay=0.5)
    ema.updates = 10_000
    theirs = AveragedModel(ema.module, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=False)
    theirs.n_averaged.fill_(1)
    for _ in range(3):
        with torch.no_grad():
            model[0].weight.mul_(1.5)
        ema.update(model)
        theirs.update_parameters(model)
    for ours, other in zip(ema.module.parameters(), theirs.module.parameters()):
        torch.testing.assert_close(ours, other)


def test_the_average_of_a_half_precision_model_is_kept_in_float32():
    ema = EMA(nn.Linear(2, 2))
    ema.update(nn.Linear(2, 2).to(torch.bfloat16))
    assert ema.module.weight.dtype == torch.float32


def test_tied_weights_are_averaged_once():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    ema, start = EMA(model, decay=0.5), model[0].weight.detach().clone()
    ema.updates = 100
    with torch.no_grad():
        model[0].weight.add_(1)
    ema.update(model)
    torch.testing.assert_close(ema.module[0].weight, start + 0.5)
    assert ema.module[1].weight is ema.module[0].weight


def test_a_bfloat16_network_is_followed_at_a_decay_of_four_nines():
    """From 1 towards 2. In bfloat16 the average would stand still: 0.0001 is less than half of 1's last digit."""
    model = nn.Linear(3, 2).bfloat16()
    nn.init.ones_(model.weight)
    ema = EMA(model, decay=0.9999)
    assert all(p.dtype == torch.float32 for p in ema.module.parameters())
    ema.updates = 1_000_000  # beyond the warm-up
    nn.init.constant_(model.weight, 2.0)
    for k in range(1, 301):
        ema.update(model)
        if k % 100 == 0:
            exact = torch.tensor(2 - 0.9999**k, dtype=torch.float64)
            torch.testing.assert_close(ema.module.weight.double(), exact.expand(2, 3), rtol=0, atol=2e-5)
    assert ema.module.weight.dtype == torch.float32 and model.weight.dtype == torch.bfloat16


def test_a_float32_network_is_averaged_by_torchs_lerp_bit_for_bit(rng):
    model = nn.Sequential(nn.Linear(9, 7), nn.BatchNorm1d(7))
    ema = EMA(model, decay=0.97)
    by_hand = {k: v.clone() for k, v in model.state_dict().items() if v.is_floating_point()}
    for k in range(1, 400):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1 * torch.randn(p.shape, generator=rng))
        ema.update(model)
        decay = min(0.97, (1 + k) / (10 + k))
        for name, value in model.state_dict().items():
            if name in by_hand:
                by_hand[name] = torch.lerp(by_hand[name], value, 1 - decay)
    assert len(by_hand) == 6 and all(torch.equal(ema.module.state_dict()[k], v) for k, v in by_hand.items())
