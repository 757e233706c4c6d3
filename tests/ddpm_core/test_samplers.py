from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler

from ddpm_core.conditioning import strategy
from ddpm_core.guidance import split_output
from ddpm_core.samplers import ddim, ddim_timesteps, initial_noise, last, sample
from ddpm_core.schedule import DiffusionSchedule, at, linear_beta_schedule
from ddpm_core.unet import UNetConfig, build_unet

SCHEDULE = DiffusionSchedule.named("linear")


def network(xt, t):
    return torch.tanh(xt * 0.9 + t.view(-1, 1, 1, 1) / 1000)


def denoise(xt, t):
    return split_output(network(xt, t), xt, t, SCHEDULE)


@pytest.mark.parametrize("steps", [1, 7, 50, 333, 999, 1000])
def test_timesteps(steps):
    t = ddim_timesteps(1000, steps)
    assert t.shape == (steps,) and t.dtype == torch.int64 and t[0] == 999
    gaps = -t.diff()
    assert len(gaps) == 0 or (gaps.min() > 0 and gaps.max() - gaps.min() <= 1)
    assert t[-1] in (0, 1000 // steps - 1)


@pytest.mark.parametrize("steps", [0, 1001])
def test_impossible_step_counts_are_refused(steps):
    with pytest.raises(ValueError, match="between 1 and 1000"):
        ddim_timesteps(1000, steps)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [10, 50])
def test_ddim_equals_diffusers_step_by_step(eta, steps, rng):
    theirs = DDIMScheduler(
        trained_betas=linear_beta_schedule(1000).numpy(),
        clip_sample=True,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )
    theirs.set_timesteps(steps)
    times = ddim_timesteps(1000, steps)
    assert times.tolist() == theirs.timesteps.tolist()
    xt = torch.randn(3, 1, 4, 4, generator=rng)
    other, noise = xt.clone(), torch.Generator().manual_seed(9)
    ours = ddim(denoise, xt, SCHEDULE, times, eta, torch.Generator().manual_seed(9))
    for i, (t, (x, _)) in enumerate(zip(times, ours)):
        z = torch.randn(xt.shape, generator=noise) if eta > 0 and i < steps - 1 else torch.zeros_like(xt)
        eps = network(other, t.expand(3))
        other = theirs.step(eps, t, other, eta=eta, use_clipped_model_output=True, variance_noise=z).prev_sample
        torch.testing.assert_close(x, other, rtol=1e-4, atol=1e-4)


def gaussian(mean, var):
    """The exact denoiser of data N(mean, var): E[x0 | xt], and the noise that goes with it."""

    def denoise(xt, t):
        abar = at(SCHEDULE.alphas_cumprod, t, xt)
        x0 = mean + abar.sqrt() * var / (abar * var + 1 - abar) * (xt - abar.sqrt() * mean)
        return x0, (xt - abar.sqrt() * x0) / (1 - abar).sqrt()

    return denoise


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_an_exact_denoiser_gives_the_exact_distribution(eta, rng):
    x = last(
        ddim(gaussian(0.3, 0.04), torch.randn(20_000, 1, generator=rng), SCHEDULE, ddim_timesteps(1000, 1000), eta, rng)
    )
    assert x.mean().item() == pytest.approx(0.3, abs=0.01)
    assert x.std().item() == pytest.approx(0.2, abs=0.01)


def test_deterministic_ddim_converges_at_first_order(rng):
    """Halving the step halves the distance to the probability-flow ODE's exact map x -> mean + std·z."""
    z = torch.randn(4000, 1, generator=rng)
    start, abar = z, SCHEDULE.alphas_cumprod[-1]
    exact = 0.3 + 0.2 * (start - abar.sqrt() * 0.3) / (abar * 0.04 + 1 - abar).sqrt()
    errors = []
    for steps in (25, 50, 100, 200):
        x = last(ddim(gaussian(0.3, 0.04), start, SCHEDULE, ddim_timesteps(1000, steps)))
        errors.append((x - exact).square().mean().sqrt().item())
    ratios = [a / b for a, b in pairwise(errors)]
    assert all(1.5 < r < 2.7 for r in ratios), (errors, ratios)


def test_an_image_does_not_depend_on_its_batch():
    net = build_unet(UNetConfig(1, 8, 10, (32, 64), 1, cond_dim=64), strategy("add")).eval()
    y = torch.arange(5)
    whole = sample(net, SCHEDULE, y, w=2.0, steps=4, seed=1)
    parts = sample(net, SCHEDULE, y, w=2.0, steps=4, seed=1, batch_size=2)
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)
    assert torch.equal(initial_noise([3], (1, 8, 8), 1)[0], initial_noise(range(5), (1, 8, 8), 1)[3])
    assert not torch.equal(initial_noise([3], (1, 8, 8), 1), initial_noise([3], (1, 8, 8), 2))


def test_the_generator_leaves_gradients_enabled():
    steps = ddim(denoise, torch.zeros(1, 1, 2, 2), SCHEDULE, ddim_timesteps(1000, 3))
    next(steps)
    assert torch.is_grad_enabled()
