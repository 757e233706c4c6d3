"""The solvers on denoisers that are known exactly: right distribution, right order of convergence."""

from itertools import islice

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.stats import kstest, norm

from ddpm_core.diffusion import Diffusion
from ddpm_core.guidance import plain
from ddpm_core.parameterization import EPSILON
from ddpm_core.samplers import ddim, ddpm, dpm_solver_pp, last, spaced_timesteps
from ddpm_core.schedule import at
from tests.ddpm_core.analytic import EXACT, THREE, sigma_at

START, END = 999, 39  # 960 = 2^6·15 timesteps between them


def grid(n):
    """n equal steps from START to END, and one more to the clean image, which is left out below."""
    return range(START, END - 1, -(START - END) // n)


def arrival(steps, n):
    """xt after n steps: at timestep END."""
    return next(islice(steps, n - 1, None))[0]


def everything(batch):
    """The unconditional denoiser of the mixture, unclipped."""
    return plain(Diffusion(THREE.network, EXACT, EPSILON, clip=False), torch.full((batch,), 3))


@pytest.mark.parametrize("solver,order", [(ddim, 1), (dpm_solver_pp, 2)])
def test_the_order_of_the_deterministic_solvers(solver, order):
    """Error against the probability-flow ODE, d(xt/sqrt(abar)) / dsigma = eps (Song et al. 2021, eq. 14), by scipy."""
    x = torch.randn(16, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.full((16,), 3)

    def slope(sigma, z):
        return THREE.eps(torch.from_numpy(z).view(16, 2), y, sigma).numpy().ravel()

    z = (x / EXACT.alphas_cumprod[START].sqrt()).numpy().ravel()
    ode = solve_ivp(slope, (sigma_at(START), sigma_at(END)), z, rtol=1e-9, atol=1e-9)
    exact = torch.from_numpy(ode.y[:, -1]).view(16, 2) * EXACT.alphas_cumprod[END].sqrt()
    counts = (30, 60, 120, 240)
    errors = [(arrival(solver(everything(16), x, EXACT, grid(n)), n) - exact).abs().mean().item() for n in counts]
    slopes = -np.diff(np.log2(errors))
    assert abs(slopes[-1] - order) < 0.2 and abs(slopes.mean() - order) < 0.35, (errors, slopes)


@pytest.mark.parametrize("solver,options", [(ddpm, ()), (ddim, (0.5,)), (ddim, (1.0,))])
def test_the_noisy_solvers_converge_in_distribution_at_first_order(solver, options):
    """For Gaussian data a step is linear in xt and its noise: n + 1 unit inputs give the exact variance."""
    variance = 0.05

    def denoise(xt, t):
        abar = at(EXACT.alphas_cumprod, t, xt)
        x0 = abar.sqrt() * variance / (abar * variance + 1 - abar) * xt
        return x0, (xt - abar.sqrt() * x0) / (1 - abar).sqrt()

    def made(n):
        times = list(grid(n))
        start = torch.zeros(n + 1, 1, dtype=torch.float64)
        start[0] = (EXACT.alphas_cumprod[START] * variance + 1 - EXACT.alphas_cumprod[START]).sqrt()

        def unit(t, xt):
            return (torch.arange(n + 1) == times.index(t) + 1).double()[:, None]

        return arrival(solver(denoise, start, EXACT, times, *options, unit), n).square().sum().item()

    right = (EXACT.alphas_cumprod[END] * variance + 1 - EXACT.alphas_cumprod[END]).item()
    errors = [abs(made(n) / right - 1) for n in (40, 80, 160, 320)]
    slopes = -np.diff(np.log2(errors))
    assert abs(slopes[-1] - 1) < 0.15 and errors[-1] < 0.05, (errors, slopes)


@pytest.mark.parametrize(
    "solver,steps,spacing", [(ddpm, 400, "uniform"), (ddim, 100, "quadratic"), (dpm_solver_pp, 30, "log-snr")]
)
def test_samples_have_the_mixture_s_distribution(solver, steps, spacing):
    """Kolmogorov-Smirnov along three directions, against the mixture's own distribution function."""
    n, rng = 4000, torch.Generator().manual_seed(3)
    x = torch.randn(n, 2, generator=rng, dtype=torch.float64)
    args = (rng,) if solver is ddpm else ()
    x = last(solver(everything(n), x, EXACT, spaced_timesteps(EXACT, steps, spacing), *args))
    for angle in (0.0, 1.0, 2.0):
        d = torch.tensor([np.cos(angle), np.sin(angle)])

        def cdf(q, d=d):
            return norm.cdf(q[:, None], (THREE.means @ d).numpy(), THREE.variances.sqrt().numpy()).mean(1)

        assert kstest((x @ d).numpy(), cdf).statistic < 1.95 / n**0.5, angle  # p = 0.001
