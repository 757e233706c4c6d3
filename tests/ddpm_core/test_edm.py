"""EDM's formulas against diffusers' scheduler, and one network read both ways against DDIM."""

from itertools import pairwise

import pytest
import torch
from diffusers import EDMEulerScheduler

from ddpm_core.diffusion import Diffusion
from ddpm_core.edm import (
    in_sigma,
    karras_sigmas,
    preconditioned,
    preconditioning,
    schedule_sigmas,
    sigma_field,
)
from ddpm_core.guidance import plain
from ddpm_core.parameterization import EPSILON, V
from ddpm_core.samplers import ddim, last
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import stream

SCHEDULE = DiffusionSchedule.named("cosine", dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 2, 5, 18])
def test_karras_sigmas_are_those_of_diffusers(steps):
    theirs = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0)
    theirs.set_timesteps(steps)
    torch.testing.assert_close(karras_sigmas(steps), theirs.sigmas.double(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("sigma_data", [0.5, 1.3])
def test_preconditioning_is_that_of_diffusers(sigma_data):
    theirs = EDMEulerScheduler(sigma_data=sigma_data)
    x, sigma = torch.randn(6, 1, 3, 3, generator=stream(0, "x")), torch.tensor([0.01, 0.1, 0.5, 1.0, 10.0, 80.0])
    wide = sigma.view(-1, 1, 1, 1)
    asked = []

    def network(scaled, noise):
        asked.append((scaled, noise))
        return scaled.tanh()

    got = preconditioned(network, sigma_data)(x, sigma)
    torch.testing.assert_close(asked[0][0], theirs.precondition_inputs(x, wide))
    torch.testing.assert_close(asked[0][1], theirs.precondition_noise(sigma))
    torch.testing.assert_close(got, theirs.precondition_outputs(x, asked[0][0].tanh(), wide))


def test_input_and_target_have_unit_variance_at_every_level():
    x0, eps = (0.7 * torch.randn(200_000, generator=stream(0, "x0")), torch.randn(200_000, generator=stream(0, "eps")))
    for level in (0.01, 0.3, 1.0, 20.0):
        c_skip, c_out, c_in, _ = preconditioning(torch.tensor([level]), 0.7)
        x = x0 + level * eps
        assert abs((c_in * x).std() - 1) < 0.02
        assert abs(((x0 - c_skip * x) / c_out).std() - 1) < 0.02


def test_v_prediction_is_edm_with_unit_data():
    """c_skip, c_out and c_in of sigma_data = 1 are what predicting v does: only the name of the level differs."""
    t, xt = torch.tensor([5, 300, 700]), torch.randn(3, 2, generator=stream(0, "xt"), dtype=torch.float64)
    output = torch.randn(3, 2, generator=stream(0, "out"), dtype=torch.float64)
    sigma = schedule_sigmas(SCHEDULE)[t]
    x = xt * (1 + sigma**2).sqrt()[:, None]
    ours = V.predict_x0(output, xt, t, SCHEDULE)
    torch.testing.assert_close(preconditioned(lambda scaled, noise: -output, 1.0)(x, sigma), ours)


def test_one_network_read_both_ways():
    """Euler in sigma is DDIM: the same images from the same network, at the schedule's own noise levels."""
    network = lambda xt, t, cond: (3 * xt).tanh() * (1 + t[:, None] / 1000)  # noqa: E731
    denoise = plain(Diffusion(network, SCHEDULE, EPSILON, clip=False), torch.zeros(4))
    times = [900, 600, 300, 100]
    noise = torch.randn(4, 2, generator=stream(0, "noise"), dtype=torch.float64)
    wanted = last(ddim(denoise, noise, SCHEDULE, times))
    sigmas = [*schedule_sigmas(SCHEDULE)[times], torch.tensor(0.0, dtype=torch.float64)]
    field = sigma_field(in_sigma(denoise, SCHEDULE))
    x = noise * (1 + sigmas[0] ** 2).sqrt()
    for sigma, after in pairwise(sigmas):
        x = x + (after - sigma) * field(x, sigma)
    torch.testing.assert_close(x, wanted)
