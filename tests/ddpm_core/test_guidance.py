"""Guidance against closed forms: of one answer, and of whole paths; and what it must equal at its ends."""

import pytest
import torch
from diffusers.guiders.guider_utils import rescale_noise_cfg
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_core.diffusion import Diffusion
from ddpm_core.guidance import autoguidance, batched, cfg_pp, guidance_interval, guide, guided, mixture, plain
from ddpm_core.parameterization import EPSILON, PARAMETERIZATIONS, V
from ddpm_core.samplers import ddim, dpm_solver_pp
from ddpm_core.schedule import DiffusionSchedule, at
from tests.ddpm_core.analytic import EXACT, THREE, Mixture, sigma_at

SCHEDULE = DiffusionSchedule.named("linear")
NULL = torch.tensor([10])


class Network:
    """A made-up network that counts its calls and mixes nothing between samples."""

    def __init__(self, gain=1.0):
        self.calls, self.images, self.gain = 0, 0, gain

    def __call__(self, xt, t, y):
        self.calls += 1
        self.images += len(xt)
        y = y.flatten(1).to(xt).mean(1) if y.dim() > 1 else y  # embeddings and tokens
        return torch.sin(self.gain * xt * (1 + y.view(-1, 1, 1, 1)) + t.view(-1, 1, 1, 1) / 1000)


def bound(network, kind=EPSILON, clip=True, schedule=SCHEDULE, null=NULL):
    return Diffusion(network, schedule, kind, clip, null)


def case(rng):
    return torch.randn(4, 1, 3, 3, generator=rng), torch.full((4,), 300), torch.tensor([0, 3, 7, 3])


@pytest.mark.parametrize("w", [-0.5, 0, 0.5, 1, 2.5, 10])
@pytest.mark.parametrize("clip", [True, False])
def test_one_batched_pass_equals_two(w, clip, rng):
    xt, t, y = case(rng)
    net = Network()
    x0, eps = guided(bound(net, clip=clip), y, w)(xt, t)
    assert net.calls == 1 and net.images == (4 if w in (0, 1) else 8)
    eps_u, eps_c = Network()(xt, t, NULL.expand(4)), Network()(xt, t, y)
    raw = eps_u + w * (eps_c - eps_u)
    abar = SCHEDULE.alphas_cumprod[300]
    own_x0 = (xt - (1 - abar).sqrt() * raw) / abar.sqrt()
    own_x0 = own_x0.clamp(-1, 1) if clip else own_x0
    torch.testing.assert_close(x0, own_x0)
    torch.testing.assert_close(abar.sqrt() * x0 + (1 - abar).sqrt() * eps, xt)  # the pair agrees with xt
    free = own_x0.abs() < 1
    torch.testing.assert_close(eps[free], raw[free], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", PARAMETERIZATIONS.values(), ids=lambda p: p.name)
@pytest.mark.parametrize("clip", [True, False])
def test_both_ends_of_the_scale(kind, clip, rng):
    """w = 1 is the conditional answer, w = 0 the unconditional one, whichever guidance and rescaling."""
    xt, t, y = case(rng)
    d = bound(Network(), kind, clip)
    for w, labels in ((0, NULL.expand(4)), (1, y)):
        alone = plain(d, labels)(xt, t)
        torch.testing.assert_close(guided(d, y, w)(xt, t), alone)
        both = guide(d, batched(d, y), float(w))
        torch.testing.assert_close(both(xt, t), alone, rtol=1e-4, atol=1e-5)
    conditional = plain(d, y)(xt, t)
    rescaled = guide(d, batched(d, y), 1.0, rescale=0.7)(xt, t)
    torch.testing.assert_close(rescaled, conditional, rtol=1e-4, atol=1e-5)
    x0, eps = cfg_pp(d, batched(d, y), 0.0)(xt, t)
    torch.testing.assert_close((x0, eps), plain(d, NULL.expand(4))(xt, t))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(-2, 12, width=32), min_size=1, max_size=4),
    st.sampled_from([(), (6,), (3, 5)]),
    st.lists(st.integers(1, 4), min_size=3, max_size=3),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 999),
)
def test_a_scale_for_each_sample_and_any_kind_of_condition(scales, kind_of_cond, shape, dtype, when):
    """Labels (B,), embeddings (B, D) and tokens (B, S, D): sample i gets w_i and its own condition."""
    rng = torch.Generator().manual_seed(when)
    b = len(scales)
    xt = torch.randn(b, *shape, generator=rng, dtype=dtype)
    cond = torch.rand(b, *kind_of_cond, generator=rng) if kind_of_cond else torch.randint(10, (b,), generator=rng)
    null = torch.zeros(1, *kind_of_cond) if kind_of_cond else NULL
    t = torch.full((b,), when)
    d = bound(Network(), null=null)
    mixed = guided(d, cond, torch.tensor(scales))(xt, t)
    for i, w in enumerate(scales):
        one = guided(d, cond[i : i + 1], w)(xt[i : i + 1], t[:1])
        for a, c in zip(mixed, one):
            assert a.dtype == dtype
            torch.testing.assert_close(a[i], c[0], rtol=1e-3, atol=1e-4)


def test_v_and_epsilon_networks_that_agree_are_guided_alike(rng):
    """Guidance is linear in the output, and eps is linear in v at fixed xt: both give the same x0."""
    xt, t, y = case(rng)
    abar = SCHEDULE.alphas_cumprod[300]

    def v_network(x, s, labels):
        eps = Network()(x, s, labels)
        return (eps - (1 - abar).sqrt() * x) / abar.sqrt()  # from v = sqrt(abar) eps - sqrt(1 - abar) x0

    ours = guided(bound(v_network, V), y, 2.5)(xt, t)[0]
    torch.testing.assert_close(ours, guided(bound(Network()), y, 2.5)(xt, t)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("phi", [0.3, 0.7, 1.0])
def test_rescale_equals_diffusers(phi, rng):
    xt, t, y = case(rng)
    d = bound(Network(), clip=False)
    weak, strong = batched(d, y)(xt, t)
    theirs = rescale_noise_cfg(weak + 6 * (strong - weak), strong, phi)
    ours = guided(d, y, 6.0, rescale=phi)(xt, t)[1]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_rescale_leaves_a_constant_output_alone():
    flat = guided(bound(lambda x, t, y: 0 * x + y.view(-1, 1, 1, 1)), torch.tensor([2]), 3.0, rescale=0.7)
    assert torch.isfinite(flat(torch.zeros(1, 1, 2, 2), torch.tensor([500]))[0]).all()


def test_an_interval_is_guided_inside_and_conditional_outside(rng):
    xt, _, y = case(rng)
    net = Network()
    parts = guided(bound(net), y, 3.0), plain(bound(net), y)
    denoise = guidance_interval(200, 400, *parts)
    for when, images in ((199, 4), (200, 8), (400, 8), (401, 4)):
        t, net.images = torch.full((4,), when), 0
        got = denoise(xt, t)
        assert net.images == images
        torch.testing.assert_close(got, parts[0 if images == 8 else 1](xt, t))
    t = torch.tensor([100, 200, 300, 900])  # a time for each sample
    for got, inside, outside in zip(denoise(xt, t), parts[0](xt, t), parts[1](xt, t)):
        torch.testing.assert_close(got[[1, 2]], inside[[1, 2]])
        torch.testing.assert_close(got[[0, 3]], outside[[0, 3]])


def test_cfg_pp_is_guidance_with_a_scale_that_changes(rng):
    """lam a' s / (a' s - a s') as w makes plain DDIM steps equal (Chung et al. 2024, section 3.2), a and s being
    sqrt(abar) and sqrt(1 - abar), primes the next step's."""
    times, lam = [900, 700, 450, 200, 30], 0.6
    xt, _, y = case(rng)
    xt = xt.double()
    schedule = DiffusionSchedule.named("linear", dtype=torch.float64)
    d = bound(Network(), clip=False, schedule=schedule)
    plus = ddim(cfg_pp(d, batched(d, y), lam), xt, schedule, times)
    for t, s, (ours, _) in zip(times, times[1:], plus):
        a, a_next = schedule.alphas_cumprod[t].sqrt(), schedule.alphas_cumprod[s].sqrt()
        b, b_next = (1 - a**2).sqrt(), (1 - a_next**2).sqrt()
        w = (lam * a_next * b / (a_next * b - a * b_next)).item()
        assert w > lam
        denoise = guided(d, y, w)
        xt = next(ddim(denoise, xt, schedule, [t, s]))[0]
        torch.testing.assert_close(ours, xt)


def test_classifier_free_guidance_is_the_score_of_a_sharpened_mixture(rng):
    """eps is -sigma times the score of p(x)^(1 - w) p(x|y)^w, here by automatic differentiation of the densities."""
    w, when, y = 3.0, 400, torch.tensor([0, 1, 2, 2])
    xt = torch.randn(4, 2, generator=rng, dtype=torch.float64)
    t, everything, sigma = torch.full((4,), when), torch.full((4,), 3), sigma_at(when)
    z = (xt / EXACT.alphas_cumprod[when].sqrt()).requires_grad_()
    log_p = (1 - w) * THREE.log_density(z, everything, sigma) + w * THREE.log_density(z, y, sigma)
    (score,) = torch.autograd.grad(log_p.sum(), z)
    _, eps = guided(bound(THREE.network, clip=False, schedule=EXACT, null=torch.tensor([3])), y, w)(xt, t)
    torch.testing.assert_close(eps, -sigma * score)


def gaussian(variance):
    return Mixture(torch.tensor([[0.3]], dtype=torch.float64), torch.tensor([variance], dtype=torch.float64))


def split_by(first, second):
    """A network that answers label 0 by one Gaussian and the null label 1 by another, both around 0.3."""

    def network(xt, t, y):
        return torch.where(y[:, None] == 0, first.network(xt, t, y * 0), second.network(xt, t, y * 0))

    return network


@pytest.mark.parametrize("kind", ["cfg", "interval", "autoguidance"])
@pytest.mark.parametrize("w", [0.5, 2.0, 4.0])
def test_guided_paths_match_their_closed_form(kind, w):
    """Two Gaussians of variance v and u around m: along the guided ODE, z - m goes as (u + sigma²)^((1-w)/2) ·
    (v + sigma²)^(w/2), z being xt / sqrt(abar), since each alone goes as sqrt(variance + sigma²)."""
    v, u, times = 0.02, 0.3, range(999, 38, -4)
    narrow, wide = gaussian(v), gaussian(u)
    y, xt = torch.zeros(5).long(), torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    d = bound(split_by(narrow, wide), clip=False, schedule=EXACT, null=torch.tensor([1]))
    cfg = guide(d, batched(d, y), w)
    denoise, edges = cfg, [(999, 39, w)]
    if kind == "interval":
        denoise = guidance_interval(200, 599, cfg, plain(d, y))
        edges = [(999, 599, 1.0), (599, 199, w), (199, 39, 1.0)]
    if kind == "autoguidance":
        strong = bound(narrow.network, clip=False, schedule=EXACT)
        denoise = guide(strong, autoguidance(strong, wide.network, y), w)
    *_, (x_end, _), _ = dpm_solver_pp(denoise, xt, EXACT, times)  # at t = 39, before the step to the clean image
    gone = xt / at(EXACT.alphas_cumprod, torch.tensor([999]), xt).sqrt() - 0.3
    for a, b, scale in edges:
        s, e = sigma_at(a) ** 2, sigma_at(b) ** 2
        gone = gone * ((u + e) / (u + s)) ** ((1 - scale) / 2) * ((v + e) / (v + s)) ** (scale / 2)
    exact = (gone + 0.3) * EXACT.alphas_cumprod[39].sqrt()
    torch.testing.assert_close(x_end, exact, rtol=0.02, atol=4e-3)


@pytest.mark.parametrize("kind", PARAMETERIZATIONS.values(), ids=lambda p: p.name)
def test_a_mixture_of_one_condition_is_guidance_by_it(kind, rng):
    xt, t, y = case(rng)
    net = Network()
    d, other = bound(net, kind), torch.tensor([9, 9, 1, 2])
    for weights, cond in (([[1.0] * 4, [0.0] * 4], y), ([[0.0] * 4, [1.0] * 4], other)):
        branches = mixture(d, (y, other), torch.tensor(weights))
        net.calls = net.images = 0
        ours = guide(d, branches, 3.0)(xt, t)
        assert (net.calls, net.images) == (1, 12)
        torch.testing.assert_close(ours, guided(d, cond, 3.0)(xt, t), rtol=1e-4, atol=1e-5)
    each = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])  # weights for each sample
    mixed = torch.where(each[0] == 1, y, other)
    torch.testing.assert_close(mixture(d, (y, other), each)(xt, t), batched(d, mixed)(xt, t))


def test_a_mixture_is_linear_in_its_weights(rng):
    xt, t, y = case(rng)
    d, conds = bound(Network()), (y, y + 1, torch.tensor([5, 6, 7, 8]))
    weights = torch.rand(3, 4, generator=rng)
    weak, strong = mixture(d, conds, weights)(xt, t)
    alone = torch.stack([Network()(xt, t, c) for c in conds])  # (3, 4, 1, 3, 3)
    torch.testing.assert_close(strong, (weights[:, :, None, None, None] * alone).sum(0))
    torch.testing.assert_close(weak, Network()(xt, t, NULL.expand(4)))


def test_a_mixture_of_embeddings_and_of_a_network_s_labels_agree(rng):
    """Conditions of any shape; here (B, D), whose mean is what the label was."""
    xt, t, y = case(rng)
    tokens = y.float()[:, None].expand(4, 6)
    weights = torch.rand(2, 4, generator=rng)
    by_label = mixture(bound(Network()), (y, y + 2), weights)(xt, t)
    by_token = mixture(bound(Network(), null=torch.full((1, 6), 10.0)), (tokens, tokens + 2), weights)(xt, t)
    torch.testing.assert_close(by_token, by_label)
