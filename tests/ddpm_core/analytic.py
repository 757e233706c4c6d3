"""Denoising that is known exactly: Gaussian mixtures, whose noisy versions are Gaussian mixtures too. Float64."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_core.schedule import DiffusionSchedule, at

EXACT = DiffusionSchedule.named("linear", dtype=torch.float64)


@dataclass(frozen=True)
class Mixture:
    """Class k is N(means[k], variances[k]·I), all classes alike likely; class K, the null class, is all of them."""

    means: Tensor  # (K, D)
    variances: Tensor  # (K,)

    def log_density(self, x: Tensor, y: Tensor, sigma: Tensor | float) -> Tensor:
        """log p(z) of z = x0 + sigma·noise, for classes y (B,), up to a constant; x (B, D) -> (B,)."""
        k = len(self.means)
        total = self.variances + torch.as_tensor(sigma, dtype=x.dtype).view(-1, 1) ** 2  # (B or 1, K)
        square = (x[:, None] - self.means).square().sum(2)  # (B, K)
        each = -0.5 * square / total - 0.5 * x.shape[1] * total.log()
        hidden = (y[:, None] != torch.arange(k)) & (y[:, None] != k)  # (B, K)
        return each.masked_fill(hidden, -torch.inf).logsumexp(1)

    def eps(self, z: Tensor, y: Tensor, sigma: Tensor | float) -> Tensor:
        """The expected noise in z = x0 + sigma·noise: -sigma times the score."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            (score,) = torch.autograd.grad(self.log_density(z, y, sigma).sum(), z)
        return -torch.as_tensor(sigma, dtype=z.dtype).view(-1, 1) * score

    def network(self, xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """A perfect eps network."""
        abar = at(EXACT.alphas_cumprod, t, xt)
        return self.eps(xt / abar.sqrt(), y, (1 / abar - 1).sqrt())


def sigma_at(t: int) -> float:
    """The noise level at t in units of the image: sqrt((1 - abar) / abar)."""
    return float((1 / EXACT.alphas_cumprod[t] - 1).sqrt())


THREE = Mixture(
    torch.tensor([[0.6, 0.2], [-0.5, 0.5], [0.1, -0.7]], dtype=torch.float64),
    torch.tensor([0.01, 0.04, 0.02], dtype=torch.float64),
)
