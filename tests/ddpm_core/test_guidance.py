import pytest
import torch

from ddpm_core.guidance import guided
from ddpm_core.parameterization import V
from ddpm_core.schedule import DiffusionSchedule

SCHEDULE = DiffusionSchedule.named("linear")
NULL = torch.tensor([10])


class Network:
    """A made-up network that counts its calls and mixes nothing between samples."""

    def __init__(self):
        self.calls = 0

    def __call__(self, xt, t, y):
        self.calls += 1
        return torch.sin(xt * (1 + y.view(-1, 1, 1, 1)) + t.view(-1, 1, 1, 1) / 1000)


def case(rng):
    return torch.randn(4, 1, 3, 3, generator=rng), torch.full((4,), 300), torch.tensor([0, 3, 7, 3])


@pytest.mark.parametrize("w", [-0.5, 0, 0.5, 1, 2.5, 10])
def test_one_batched_pass_equals_two(w, rng):
    xt, t, y = case(rng)
    net = Network()
    x0, eps = guided(net, SCHEDULE, y, NULL, w)(xt, t)
    assert net.calls == 1
    eps_u, eps_c = Network()(xt, t, NULL.expand(4)), Network()(xt, t, y)
    raw = eps_u + w * (eps_c - eps_u)
    abar = SCHEDULE.alphas_cumprod[300]
    own_x0 = ((xt - (1 - abar).sqrt() * raw) / abar.sqrt()).clamp(-1, 1)
    torch.testing.assert_close(x0, own_x0)
    torch.testing.assert_close(abar.sqrt() * x0 + (1 - abar).sqrt() * eps, xt)  # the pair agrees with xt
    free = own_x0.abs() < 1
    torch.testing.assert_close(eps[free], raw[free], rtol=1e-4, atol=1e-5)


def test_both_ends_of_the_scale(rng):
    xt, t, y = case(rng)
    ends = {w: guided(Network(), SCHEDULE, y, NULL, w)(xt, t) for w in (0, 1)}
    for w, labels in ((0, NULL.expand(4)), (1, y)):
        alone = guided(lambda x, s, _, labels=labels: Network()(x, s, labels), SCHEDULE, y, NULL, 1.0)(xt, t)
        torch.testing.assert_close(ends[w], alone)


def test_a_scale_for_each_sample(rng):
    xt, t, y = case(rng)
    scales = torch.tensor([0.0, 1.0, 2.0, 7.0])
    mixed = guided(Network(), SCHEDULE, y, NULL, scales)(xt, t)[0]
    for i, w in enumerate(scales.tolist()):
        torch.testing.assert_close(mixed[i], guided(Network(), SCHEDULE, y, NULL, w)(xt, t)[0][i])


def test_v_and_epsilon_networks_that_agree_are_guided_alike(rng):
    """Guidance is linear in the output, and eps is linear in v at fixed xt: both give the same x0."""
    xt, t, y = case(rng)
    abar = SCHEDULE.alphas_cumprod[300]

    def v_network(x, s, labels):
        eps = Network()(x, s, labels)
        return (eps - (1 - abar).sqrt() * x) / abar.sqrt()  # from v = sqrt(abar) eps - sqrt(1 - abar) x0

    ours = guided(v_network, SCHEDULE, y, NULL, 2.5, V)(xt, t)[0]
    torch.testing.assert_close(ours, guided(Network(), SCHEDULE, y, NULL, 2.5)(xt, t)[0], rtol=1e-4, atol=1e-5)
