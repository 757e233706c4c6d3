import math

import pytest
import torch
from scipy.spatial import geometric_slerp

from ddpm_core.conditioning import STRATEGIES, strategy
from ddpm_core.interpolation import interpolate_classes, interpolate_embeddings
from ddpm_core.samplers import ddim_timesteps
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.unet import UNetConfig, build_unet
from tests.ddpm_core.test_unet import perturbed

ALPHAS = torch.linspace(0, 1, 7)
SCHEDULE = DiffusionSchedule.named()


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_ends_are_the_two_embeddings(mode, rng):
    a, b = torch.randn(2, 16, generator=rng)
    row = interpolate_embeddings(a, b * 3, ALPHAS, mode)
    torch.testing.assert_close(row[0], a)
    torch.testing.assert_close(row[-1], b * 3)


def test_spherical_equals_scipy_on_the_unit_sphere(rng):
    a, b = torch.nn.functional.normalize(torch.randn(2, 16, generator=rng, dtype=torch.float64), dim=1)
    ours = interpolate_embeddings(a, b, ALPHAS.double(), "spherical")
    torch.testing.assert_close(ours, torch.from_numpy(geometric_slerp(a.numpy(), b.numpy(), ALPHAS.double().numpy())))


def test_spherical_moves_the_length_linearly(rng):
    a, b = torch.randn(2, 16, generator=rng)
    row = interpolate_embeddings(a, 4 * b, ALPHAS, "spherical")
    torch.testing.assert_close(row.norm(dim=1), (1 - ALPHAS) * a.norm() + ALPHAS * 4 * b.norm())


@pytest.mark.parametrize("factor", [1.0, 2.5, -1.0, -0.3, 0.0])
def test_spherical_is_linear_where_there_is_no_arc(factor, rng):
    a = torch.randn(16, generator=rng)
    row = interpolate_embeddings(a, factor * a, ALPHAS, "spherical")
    assert torch.isfinite(row).all()
    torch.testing.assert_close(row, interpolate_embeddings(a, factor * a, ALPHAS), rtol=1e-3, atol=1e-4)


def test_a_right_angle_by_hand():
    row = interpolate_embeddings(torch.tensor([1.0, 0]), torch.tensor([0, 1.0]), torch.tensor([1 / 3]), "spherical")
    torch.testing.assert_close(row, torch.tensor([[math.cos(math.pi / 6), math.sin(math.pi / 6)]]))


def test_unknown_mode():
    with pytest.raises(ValueError, match=r"unknown mode 'cubic'; known: linear, spherical"):
        interpolate_embeddings(torch.zeros(2), torch.zeros(2), ALPHAS, "cubic")


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "none"])
def test_a_row_begins_and_ends_with_the_classes_themselves(name):
    """Whatever the conditioner: the ends equal sampling with labels from the same noise."""
    from ddpm_core.guidance import guided
    from ddpm_core.samplers import ddim, last

    net = perturbed(build_unet(UNetConfig(1, 8, 10, (32, 64), 1, cond_dim=64), strategy(name)), 0.05)
    row = interpolate_classes(net, SCHEDULE, 2, 7, 5, (1, 8, 8), 3.0, 6, torch.Generator().manual_seed(5))
    noise = torch.randn((1, 1, 8, 8), generator=torch.Generator().manual_seed(5)).repeat(2, 1, 1, 1)
    denoise = guided(net, SCHEDULE, torch.tensor([2, 7]), torch.tensor([10]), 3.0)
    ends = last(ddim(denoise, noise, SCHEDULE, ddim_timesteps(1000, 6)))
    torch.testing.assert_close(row[[0, -1]], ends, rtol=1e-3, atol=1e-3)
    one = interpolate_classes(net, SCHEDULE, 2, 7, 1, (1, 8, 8), 3.0, 6, torch.Generator().manual_seed(5))
    torch.testing.assert_close(one[0], row[0], rtol=1e-3, atol=1e-3)
