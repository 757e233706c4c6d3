import math

import pytest
import torch
from diffusers import DDPMScheduler

from ddpm_core.schedule import DiffusionSchedule, at, cosine_beta_schedule, linear_beta_schedule


def test_linear_equals_diffusers():
    theirs = DDPMScheduler(beta_schedule="linear", beta_start=1e-4, beta_end=0.02)
    torch.testing.assert_close(
        DiffusionSchedule.named("linear").alphas_cumprod, theirs.alphas_cumprod, rtol=1e-4, atol=0
    )


def test_cosine_equals_diffusers_where_neither_clamps():
    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2").betas
    ours = cosine_beta_schedule(1000).float()
    differ = (ours - theirs).abs() > 1e-6
    assert differ.sum() == 13  # they clamp at 0.999 and not from below; ours is clamped to [1e-4, 0.9999]
    assert ours.min() >= 1e-4 and ours.max() <= 0.9999


def test_cosine_follows_its_closed_form():
    abar = torch.cumprod(1 - cosine_beta_schedule(1000), 0)
    f = [math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2 for u in (0.0, 0.5)]
    assert abar[499].item() == pytest.approx(f[1] / f[0], rel=1e-2)  # the lower clamp moves the first few betas
    assert (abar.diff() < 0).all()


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_q_sample_equals_diffusers_add_noise(name, rng):
    schedule = DiffusionSchedule.named(name)
    betas = {"linear": linear_beta_schedule, "cosine": cosine_beta_schedule}[name](1000)
    theirs = DDPMScheduler(trained_betas=betas.numpy())
    x0, eps = torch.randn(2, 5, 3, 4, 4, generator=rng)
    t = torch.tensor([0, 1, 500, 998, 999])
    torch.testing.assert_close(schedule.q_sample(x0, t, eps), theirs.add_noise(x0, eps, t), rtol=1e-4, atol=1e-5)


def test_q_sample_has_the_variance_it_should(rng):
    """Unit-variance images stay at unit variance: abar + (1 - abar) = 1."""
    schedule = DiffusionSchedule.named()
    x0, eps = torch.randn(2, 20_000, 1, generator=rng)
    for t in (0, 300, 999):
        xt = schedule.q_sample(x0, torch.full((20_000,), t), eps)
        assert xt.var().item() == pytest.approx(1, abs=0.05)


def test_plain_dict_and_snr():
    s = DiffusionSchedule.named("linear")
    d = s.as_dict()
    assert set(d) == {"alphas_cumprod", "sqrt_alpha", "sqrt_one_minus_alpha"}
    torch.testing.assert_close(d["sqrt_alpha"] ** 2 + d["sqrt_one_minus_alpha"] ** 2, torch.ones(1000))
    torch.testing.assert_close(s.snr, (d["sqrt_alpha"] / d["sqrt_one_minus_alpha"]) ** 2)
    torch.testing.assert_close(s.half_log_snr, 0.5 * s.snr.double().log(), rtol=1e-3, atol=1e-3)


def test_shape_and_dtype_of_constants_in_a_formula():
    values, t = torch.tensor([0.9, 0.5, 1e-9]), torch.tensor([2, 0])
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        got = at(values, t, torch.zeros(2, 3, 4, 4, dtype=dtype))
        assert torch.equal(got, torch.tensor([1e-9, 0.9]).view(2, 1, 1, 1))  # float32: in half, 1e-9 would be 0
    assert at(values, t, torch.zeros(2, 5, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("betas", [[0.1, 1.2], [-0.1, 0.2], [0.0, 0.1], [1e-9, 0.1], [float("nan"), 0.1]])
def test_betas_that_make_no_schedule_are_refused(betas):
    with pytest.raises(ValueError, match="betas must lie between"):
        DiffusionSchedule.from_betas(torch.tensor(betas))
    with pytest.raises(ValueError, match="at least one timestep, got 0"):
        DiffusionSchedule.named("cosine", 0)


def test_float64_on_request():
    exact, short = (DiffusionSchedule.named("cosine", dtype=d).alphas_cumprod for d in (torch.float64, torch.float32))
    assert exact.dtype == torch.float64 and torch.equal(exact.float(), short)
    torch.testing.assert_close(exact[-1].item(), math.prod(1 - b for b in cosine_beta_schedule(1000).tolist()))


def test_unknown_schedule_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown schedule 'sigmoid'; known: linear, cosine"):
        DiffusionSchedule.named("sigmoid")
