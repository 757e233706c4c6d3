"""Inversion, SDEdit and inpainting with a denoiser that is known exactly."""

from itertools import pairwise

import torch
from diffusers import DDIMInverseScheduler

from ddpm_core.diffusion import Diffusion
from ddpm_core.editing import inpaint_step, invert_ddim, sdedit
from ddpm_core.guidance import plain
from ddpm_core.parameterization import EPSILON
from ddpm_core.samplers import ddim, ddim_timesteps, last
from tests.ddpm_core.analytic import EXACT, THREE

Y = torch.full((64,), 3)
DENOISE = plain(Diffusion(THREE.network, EXACT, EPSILON, clip=False), Y)


def noise(seed=0):
    return torch.randn(64, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_error_of_the_round_trip_falls_with_the_steps():
    errors = []
    for n in (25, 50, 100, 200, 400):
        times = ddim_timesteps(1000, n)
        image = last(ddim(DENOISE, noise(), EXACT, times))
        back = last(ddim(DENOISE, invert_ddim(DENOISE, image, EXACT, times), EXACT, times))
        errors.append((back - image).abs().mean().item())
    assert all(b < 0.65 * a for a, b in pairwise(errors)), errors  # first order: half as much each time


def test_the_inverted_noise_is_the_one_that_made_the_image():
    times = torch.arange(999, -1, -1)
    image = last(ddim(DENOISE, noise(), EXACT, times))
    assert (invert_ddim(DENOISE, image, EXACT, times) - noise()).abs().mean() < 0.03


def test_it_is_exact_where_eps_does_not_depend_on_the_point():
    """Then DDIM's step is a line, and walking it backwards is no approximation."""
    eps, times = noise(1), ddim_timesteps(1000, 7)

    def denoise(xt, t):
        abar = EXACT.alphas_cumprod[t[0]]
        return (xt - (1 - abar).sqrt() * eps) / abar.sqrt(), eps

    image = last(ddim(denoise, noise(), EXACT, times))
    torch.testing.assert_close(invert_ddim(denoise, image, EXACT, times), noise())


def test_its_steps_are_those_of_diffusers():
    theirs = DDIMInverseScheduler(beta_start=1e-4, beta_end=0.02, clip_sample=False)
    theirs.set_timesteps(10)
    assert theirs.timesteps.tolist() == list(range(0, 1000, 100))
    xt = noise()
    for t in theirs.timesteps:
        xt = theirs.step(THREE.network(xt, (t - 100).clamp(min=0).expand(64), Y), t, xt).prev_sample
    ours = invert_ddim(DENOISE, noise(), EXACT, theirs.timesteps.flip(0))
    torch.testing.assert_close(ours, xt, rtol=1e-4, atol=1e-4)


def test_sdedit_from_the_end_forgets_the_guide_and_from_the_start_keeps_it():
    guide, times = 0.3 * noise(2), ddim_timesteps(1000, 100)
    forgotten = sdedit(DENOISE, guide, noise(), EXACT, times)
    torch.testing.assert_close(forgotten, last(ddim(DENOISE, noise(), EXACT, times)), rtol=0.1, atol=0.1)
    kept = sdedit(DENOISE, guide, noise(), EXACT, times[-1:])
    assert (kept - guide).abs().mean() < 0.15 < (forgotten - guide).abs().mean()


def test_the_known_part_is_put_back_at_its_noise_level():
    x0, eps, mask = torch.zeros(50_000, 1, 1, 2) + 0.5, torch.randn(50_000, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    abar = torch.tensor(0.64)
    out = inpaint_step(torch.full_like(x0, 9.0), x0, mask, abar, eps)
    assert (out[..., 1] == 9).all()
    assert abs(out[..., 0].mean() - 0.4) < 0.01 and abs(out[..., 0].std() - 0.6) < 0.01
    clean = inpaint_step(torch.full_like(x0, 9.0), x0, mask, torch.tensor(1.0), eps)
    assert (clean[..., 0] == 0.5).all()
