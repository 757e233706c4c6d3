"""Flow matching against exact velocities: of one Gaussian in closed form, of a mixture, and diffusers' Euler steps."""

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler

from ddpm_core.diffusion import Diffusion
from ddpm_core.flow import (
    euler_step,
    flow_path,
    flow_sample,
    flow_times,
    from_denoiser,
    heun_step,
    interpolate_path,
    logit_normal_times,
    straightness,
    velocity_target,
    velocity_to_x0,
)  # fmt: skip
from ddpm_core.guidance import extrapolate, guided, plain
from ddpm_core.parameterization import EPSILON, FLOW
from ddpm_core.samplers import ddim, ddim_timesteps, last
from ddpm_core.schedule import DiffusionSchedule
from tests.ddpm_core.analytic import EXACT, THREE

STRAIGHT = DiffusionSchedule.named("straight", dtype=torch.float64)
MEAN, WIDTH = 0.7, 0.3  # of Gaussian data


def gaussian_field(xt, t):
    """E[eps - x0 | xt] for x0 ~ N(MEAN, WIDTH^2): the regression of two jointly normal variables, eps - x0 on xt."""
    variance = (1 - t) ** 2 * WIDTH**2 + t**2
    covariance = t - (1 - t) * WIDTH**2
    return -MEAN + covariance / variance * (xt - (1 - t) * MEAN)


def gaussian_arrival(noise):
    """The flow's map from t = 1 to t = 0: monotone, and between two normal distributions, so affine."""
    return MEAN + WIDTH * noise


def mixture_field(y):
    """E[eps - x0 | xt] of the three classes; at t = 0 the noise is independent of the image."""

    def field(xt, t):
        eps = THREE.eps(xt / (1 - t), y, t / (1 - t)) if t > 0 else torch.zeros_like(xt)
        return eps - (xt - t * eps) / (1 - t)

    return field


def noise(n=32, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def times(n, start=1.0, end=0.0):
    return torch.linspace(start, end, n + 1, dtype=torch.float64)


def test_the_path_its_velocity_and_the_image_it_came_from():
    x0, eps, t = noise(4, 1), noise(4, 2), torch.tensor([0.0, 0.25, 0.9, 1.0])
    xt, v = interpolate_path(x0, eps, t), velocity_target(x0, eps)
    torch.testing.assert_close(xt[0], x0[0])
    torch.testing.assert_close(xt[3], eps[3])
    torch.testing.assert_close(xt[1], 0.75 * x0[1] + 0.25 * eps[1])
    h = 1e-6  # v is the derivative of the path
    torch.testing.assert_close((interpolate_path(x0, eps, t + h) - xt) / h, v, rtol=0.1, atol=0.1)
    torch.testing.assert_close(velocity_to_x0(xt, v, t), x0)
    assert interpolate_path(x0.view(4, 1, 1, 2).float(), eps.view(4, 1, 1, 2).float(), t.double()).shape == (4, 1, 1, 2)


def test_the_path_is_the_schedule_straight_and_its_velocity_the_parameterization_flow():
    x0, eps, k = noise(3, 1), noise(3, 2), torch.tensor([0, 400, 999])
    t = (k + 1) / 1001
    rescaled = interpolate_path(x0, eps, t) / ((1 - t) ** 2 + t**2).sqrt()[:, None]
    torch.testing.assert_close(STRAIGHT.q_sample(x0, k, eps), rescaled, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(flow_times(STRAIGHT), torch.arange(1, 1001, dtype=torch.float64) / 1001)
    target = FLOW.compute_training_target(x0, eps, k, STRAIGHT)
    torch.testing.assert_close(target, velocity_target(x0, eps))
    torch.testing.assert_close(FLOW.predict_x0(target, STRAIGHT.q_sample(x0, k, eps), k, STRAIGHT), x0)


@pytest.mark.parametrize("step,order", [(euler_step, 1), (heun_step, 2)])
@pytest.mark.parametrize("data", ["gaussian", "mixture"])
def test_the_order_of_convergence(step, order, data):
    """Against the closed form; for the mixture, from t = 0.98, against Heun with many more steps."""
    x = noise()
    if data == "gaussian":
        field, start, exact = gaussian_field, 1.0, gaussian_arrival(x)
    else:
        field, start = mixture_field(torch.full((32,), 3)), 0.98
        exact = flow_sample(field, x, times(4000, start), heun_step)
    errors = [(flow_sample(field, x, times(n, start), step) - exact).abs().mean().item() for n in (40, 80, 160, 320)]
    slopes = -np.diff(np.log2(errors))
    assert abs(slopes[-1] - order) < 0.15, (errors, slopes)


def test_from_image_to_noise_and_back():
    x = gaussian_arrival(noise())
    up = flow_sample(gaussian_field, x, times(200, 0.0, 1.0))
    torch.testing.assert_close(up, noise(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(flow_sample(gaussian_field, up, times(200)), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "scheduler,step", [(FlowMatchEulerDiscreteScheduler, euler_step), (FlowMatchHeunDiscreteScheduler, heun_step)]
)
def test_as_in_diffusers(scheduler, step):
    theirs = scheduler(num_train_timesteps=1000)
    theirs.set_timesteps(7)
    x, x_theirs = noise().float(), noise().float()
    for t in theirs.timesteps:
        x_theirs = theirs.step(gaussian_field(x_theirs, t / 1000), t, x_theirs).prev_sample
    grid = theirs.sigmas.unique().flip(0)  # Heun's list names the inner ones twice
    assert len(grid) == 8
    torch.testing.assert_close(flow_sample(gaussian_field, x, grid, step), x_theirs, rtol=1e-4, atol=1e-4)


def test_a_network_trained_to_predict_eps_is_a_flow():
    """At the schedule's own times the velocity is the mixture's."""
    y, d = torch.full((32,), 3), Diffusion(THREE.network, EXACT, EPSILON, clip=False)
    field = from_denoiser(plain(d, y), EXACT)
    for k in (30, 300, 700):
        t = flow_times(EXACT)[k]
        torch.testing.assert_close(field(noise(), t), mixture_field(y)(noise(), t))


def test_ddim_is_euler_on_the_straight_path():
    y, steps = torch.full((32,), 3), ddim_timesteps(1000, 20)
    d = Diffusion(THREE.network, EXACT, EPSILON, clip=False)
    made = last(ddim(plain(d, y), noise(), EXACT, steps))
    t = torch.cat([flow_times(EXACT)[steps], torch.zeros(1, dtype=torch.float64)])
    start = noise() * ((1 - t[0]) ** 2 + t[0] ** 2).sqrt()
    torch.testing.assert_close(flow_sample(from_denoiser(plain(d, y), EXACT), start, t, euler_step), made)


def test_guided_velocities_are_the_guided_denoisers():
    y, null = torch.arange(30) % 3, torch.full((30,), 3)
    d = Diffusion(THREE.network, EXACT, EPSILON, clip=False, null=torch.tensor([3]))
    t = flow_times(EXACT)[500]
    both = extrapolate(mixture_field(null)(noise(30), t), mixture_field(y)(noise(30), t), 3.0)
    torch.testing.assert_close(from_denoiser(guided(d, y, 3.0), EXACT)(noise(30), t), both)


def test_logit_normal_times_have_the_quantiles_of_the_logit_normal():
    k = logit_normal_times(20_000, STRAIGHT, torch.Generator().manual_seed(0))
    assert k.dtype == torch.long and k.min() >= 0 and k.max() <= 999
    wanted = torch.sigmoid(torch.tensor([-1.2816, 0.0, 1.2816]))  # 10, 50 and 90 % of a normal distribution
    got = flow_times(STRAIGHT)[k].float().quantile(torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(got, wanted, rtol=0, atol=0.01)


def test_straightness_is_zero_on_a_line_and_known_on_an_arc():
    t = times(400)
    line = interpolate_path(noise(400).new_ones(401, 2), torch.zeros(401, 2, dtype=torch.float64), t)[:, None]
    assert straightness(line.expand(-1, 3, -1), t).abs().max() < 1e-12
    arc = torch.stack([t, t**2], dim=1)[:, None]  # velocity (1, 2t), chord (1, 1): the mean of (2t - 1)^2 is 1/3
    torch.testing.assert_close(straightness(arc, t), torch.tensor([1 / 3], dtype=torch.float64), rtol=1e-4, atol=0)
    one = straightness(flow_path(gaussian_field, noise(), times(400)), times(400)).mean()
    assert 0.01 < one < 1
