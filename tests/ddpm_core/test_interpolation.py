import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp

from ddpm_core.conditioning import STRATEGIES, strategy
from ddpm_core.diffusion import Diffusion
from ddpm_core.guidance import guided
from ddpm_core.interpolation import (
    InterpolationConfig,
    interpolate,
    interpolate_classes,
    interpolate_embeddings,
)
from ddpm_core.parameterization import EPSILON
from ddpm_core.samplers import SampleConfig, ddim, ddim_timesteps, dpm_solver_pp, last
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.unet import UNetConfig, build_unet
from tests.ddpm_core.test_unet import perturbed

ALPHAS = torch.linspace(0, 1, 7)
SCHEDULE = DiffusionSchedule.named()


def bound(network, **options):
    return Diffusion(network, SCHEDULE, EPSILON, **options)


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
    d = bound(perturbed(build_unet(UNetConfig(1, 8, 10, (32, 64), 1, cond_dim=64), strategy(name)), 0.05))
    how = InterpolationConfig(steps=6)
    row = interpolate_classes(d, 2, 7, 5, 3.0, torch.Generator().manual_seed(5), how)
    noise = torch.randn((1, 1, 8, 8), generator=torch.Generator().manual_seed(5)).repeat(2, 1, 1, 1)
    denoise = guided(d, torch.tensor([2, 7]), 3.0)
    ends = last(ddim(denoise, noise, SCHEDULE, ddim_timesteps(1000, 6)))
    torch.testing.assert_close(row[[0, -1]], ends, rtol=1e-3, atol=1e-3)
    one = interpolate_classes(d, 2, 7, 1, 3.0, torch.Generator().manual_seed(5), how)
    torch.testing.assert_close(one[0], row[0], rtol=1e-3, atol=1e-3)


def test_other_shapes_are_one_long_vector(rng):
    a, b = torch.randn(2, 3, 4, 4, generator=rng)
    for mode in ("linear", "spherical"):
        flat = interpolate_embeddings(a.flatten(), b.flatten(), ALPHAS, mode)
        assert torch.equal(interpolate_embeddings(a, b, ALPHAS, mode), flat.view(7, 3, 4, 4))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(1, 6),
    st.sampled_from(["linear", "spherical"]),
    st.sampled_from([torch.float32, torch.float64]),
    st.floats(0, 50),
)
def test_any_shape_and_dtype_ends_where_it_should(shape, n, mode, dtype, size):
    a, b = torch.randn(2, *shape, dtype=dtype, generator=torch.Generator().manual_seed(n))
    row = interpolate_embeddings(a, size * b, torch.linspace(0, 1, n), mode)
    assert row.shape == (n, *shape) and row.dtype == dtype and torch.isfinite(row).all()
    torch.testing.assert_close(row[0], a, rtol=1e-4, atol=1e-4)
    if n > 1:
        torch.testing.assert_close(row[-1], size * b, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def net():
    return perturbed(build_unet(UNetConfig(1, 8, 10, (32, 64), 1, cond_dim=64), strategy("cross_attention")), 0.05)


def row_of(net, vary, n=5, seed=5, **sampling):
    how = InterpolationConfig(vary, "spherical", 6, SampleConfig(**sampling))
    return interpolate_classes(bound(net), 2, 7, n, 3.0, torch.Generator().manual_seed(seed), how)


@pytest.mark.parametrize("vary,ends", [("noise", [2, 2]), ("both", [2, 7])])
def test_ends_of_a_walk_between_noises(net, vary, ends):
    row, rng = row_of(net, vary), torch.Generator().manual_seed(5)
    noises = torch.cat([torch.randn(1, 1, 8, 8, generator=rng) for _ in range(2)])
    denoise = guided(bound(net), torch.tensor(ends), 3.0)
    right = last(ddim(denoise, noises, SCHEDULE, ddim_timesteps(1000, 6)))
    torch.testing.assert_close(row[[0, -1]], right, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(row[0], row[-1], atol=1e-2)
    torch.testing.assert_close(row[0], row_of(net, "class")[0], rtol=1e-3, atol=1e-3)  # the same first noise


def test_between_noises_the_length_stays_that_of_noise(net):
    """A straight line would be 0.7 as long in the middle, and the images grey."""
    seen = []
    spy = SimpleNamespace(
        config=net.config, embed_class=net.embed_class, null_cond=net.null_cond,
        forward_with_cond=lambda x, t, c: seen.append(x) or net.forward_with_cond(x, t, c),
    )  # fmt: skip
    row_of(spy, "noise", 9)
    lengths = seen[0][:9].flatten(1).norm(dim=1)
    assert lengths.min() > 0.95 * min(lengths[0], lengths[-1])


def test_batches_and_noisy_solvers_leave_the_row_as_it_is(net):
    for config in ({"sampler": "dpm++"}, {"sampler": "ddpm"}, {"eta": 0.5, "lam": 0.5}):
        whole, parts = row_of(net, "both", **config), row_of(net, "both", batch_size=2, **config)
        torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-3)
        how = InterpolationConfig(steps=6, sampling=SampleConfig(**config))
        same = interpolate_classes(bound(net), 2, 2, 3, 3.0, torch.Generator().manual_seed(5), how)
        torch.testing.assert_close(same[0], same[2], rtol=1e-3, atol=1e-3)  # one noise for the row, in every step


def test_any_network_and_any_kind_of_condition(rng):
    """Caption tokens (S, D), a network that is a plain function, and another solver."""

    def network(xt, t, tokens):
        return torch.sin(xt * (1 + tokens.mean((1, 2)).view(-1, 1, 1, 1)))

    a, b = torch.randn(2, 3, 4, generator=rng)
    noises, null = torch.randn(1, 1, 4, 4, generator=rng).repeat(4, 1, 1, 1), torch.zeros(1, 3, 4)
    conds, d = interpolate_embeddings(a, b, torch.linspace(0, 1, 4)), bound(network, null=null)
    row = interpolate(d, conds, noises, 2.0, 5, SampleConfig(sampler="dpm++"))
    denoise = guided(d, torch.stack([a, b]), 2.0)
    torch.testing.assert_close(
        row[[0, -1]], last(dpm_solver_pp(denoise, noises[:2], SCHEDULE, ddim_timesteps(1000, 5)))
    )


def test_unknown_vary(net):
    with pytest.raises(ValueError, match="unknown vary 'time'; known: class, noise, both"):
        row_of(net, "time")


def scores_row(net, n=5, **options):
    how = InterpolationConfig(options.pop("vary", "class"), "scores", 6, SampleConfig(**options))
    return interpolate_classes(bound(net), 2, 7, n, 3.0, torch.Generator().manual_seed(5), how)


@pytest.mark.parametrize("vary", ["class", "both"])
def test_mixed_scores_end_at_the_two_classes_own_images(net, vary):
    calls = []
    handle = net.register_forward_hook(lambda module, given, out: calls.append(len(out)))
    row, rng = scores_row(net, vary=vary), torch.Generator().manual_seed(5)
    handle.remove()
    assert calls == [15] * 6  # one call a step: no condition, the first and the second
    first, second = (torch.randn(1, 1, 8, 8, generator=rng) for _ in range(2))
    noises = torch.cat([first, second if vary == "both" else first])
    ends = last(ddim(guided(bound(net), torch.tensor([2, 7]), 3.0), noises, SCHEDULE, ddim_timesteps(1000, 6)))
    torch.testing.assert_close(row[[0, -1]], ends, rtol=1e-3, atol=1e-3)
    assert (row[0] - row[-1]).abs().max() > 0.05


def test_the_middle_of_mixed_scores_is_the_mean_of_the_answers(net):
    """Not the answer to the mean embedding, which the linear path gives."""
    noise = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(5))

    def both(xt, t, y):
        a, b = (net(xt, t, torch.full_like(y, k)) for k in (2, 7))
        return torch.where((y == 10).view(-1, 1, 1, 1), net(xt, t, y), (a + b) / 2)

    mean = Diffusion(both, SCHEDULE, EPSILON, null=torch.tensor([10]))
    wanted = last(ddim(guided(mean, torch.tensor([0]), 3.0), noise, SCHEDULE, ddim_timesteps(1000, 6)))
    torch.testing.assert_close(scores_row(net, 3)[1], wanted[0], rtol=1e-3, atol=1e-3)


def test_mixed_scores_of_noises_alone_are_the_one_class(net):
    assert torch.equal(scores_row(net, vary="noise"), row_of(net, "noise"))


@pytest.mark.parametrize(
    ("sampling", "mode", "says"),
    [
        ({"lam": 0.5}, "scores", "mixing scores works with plain guidance by w only"),
        ({"interval": (100, 200)}, "scores", "leave lam and interval out"),
        ({}, "cubic", "unknown mode 'cubic'; known: linear, spherical, scores"),
    ],
)
def test_paths_that_cannot_be_are_refused(sampling, mode, says):
    with pytest.raises(ValueError, match=says):
        InterpolationConfig(mode=mode, sampling=SampleConfig(**sampling))
