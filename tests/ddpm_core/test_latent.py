"""The autoencoder: shapes, unit variance, and that it learns to restore pictures."""

import torch
from torch.distributions import Normal, kl_divergence

from ddpm_core.latent import Autoencoder
from ddpm_core.streams import stream


def pictures(n: int) -> torch.Tensor:
    """Two flat halves in random colours, (n, 3, 32, 32)."""
    colours = torch.rand(n, 3, 1, 2, generator=stream(0, "colours")) * 1.6 - 0.8
    return colours.repeat_interleave(16, 3).expand(-1, -1, 32, -1).contiguous()


def test_shapes_and_unit_variance():
    net, x = Autoencoder(width=16), pictures(40)
    net.scale /= net.posterior(x)[0].std().detach()
    z = net.encode(x)
    assert z.shape == (40, 4, 8, 8) and net.decode(z).shape == x.shape
    torch.testing.assert_close(z.std(), torch.ones(()))
    torch.testing.assert_close(net.decode(z), net.decoder(net.posterior(x)[0]))  # scaling changes no picture


def test_the_pull_is_the_kl_divergence():
    net, x = Autoencoder(width=16), pictures(3)
    mean, log_var = net.posterior(x)
    exact = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0, 1)).mean()
    parts = [net.loss(x, stream(0, "z"), kl_weight=w) for w in (0.0, 1.0)]
    torch.testing.assert_close(parts[1] - parts[0], exact, rtol=1e-4, atol=1e-5)


def test_it_learns():
    torch.manual_seed(0)
    net, x = Autoencoder(width=16), pictures(64)
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    first = net.loss(x, stream(0, "first")).item()
    for step in range(40):
        opt.zero_grad()
        net.loss(x, stream(0, "z", step)).backward()
        opt.step()
    assert net.loss(x, stream(0, "last")).item() < first / 4
