"""Latents: a small autoencoder that compresses pictures to make diffusion cheap (https://arxiv.org/abs/2112.10752).
Stable Diffusion's compresses 512×512×3 to 64×64×4; this one compresses 32×32×3 to 8×8×4."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn


class Autoencoder(nn.Module):
    """Pictures (B, C, H, W) in [-1, 1] to latents (B, D, H/4, W/4) of unit variance, and back."""

    scale: Tensor

    def __init__(self, image_channels: int = 3, latent_channels: int = 4, width: int = 32):
        super().__init__()
        c, d, w = image_channels, latent_channels, width
        self.encoder = nn.Sequential(
            nn.Conv2d(c, w, 3, padding=1), nn.SiLU(),
            nn.Conv2d(w, 2 * w, 4, stride=2, padding=1), nn.GroupNorm(8, 2 * w), nn.SiLU(),  # (B, 2w, H/2, W/2)
            nn.Conv2d(2 * w, 2 * w, 4, stride=2, padding=1), nn.GroupNorm(8, 2 * w), nn.SiLU(),  # (B, 2w, H/4, W/4)
            nn.Conv2d(2 * w, 2 * d, 3, padding=1),  # (B, 2D, H/4, W/4): mean and log-variance
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(d, 2 * w, 3, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(2 * w, 2 * w, 4, stride=2, padding=1), nn.GroupNorm(8, 2 * w), nn.SiLU(),
            nn.ConvTranspose2d(2 * w, w, 4, stride=2, padding=1), nn.GroupNorm(8, w), nn.SiLU(),  # (B, w, H, W)
            nn.Conv2d(w, c, 3, padding=1),
        )  # fmt: skip
        self.register_buffer("scale", torch.ones(()))  # 1 / standard deviation of the latents; 0.18215 in SD

    def posterior(self, x: Tensor) -> list[Tensor]:
        """Mean and log-variance of the latents before scaling, each (B, D, H/4, W/4)."""
        return list(self.encoder(x).chunk(2, dim=1))

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0] * self.scale  # (B, C, H, W) -> (B, D, H/4, W/4)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z / self.scale)  # (B, D, H/4, W/4) -> (B, C, H, W), not clamped

    def loss(self, x: Tensor, generator: Generator, kl_weight: float = 1e-4) -> Tensor:
        """Squared error, plus a weak pull of the latents towards a normal distribution (Kingma & Welling 2014)."""
        mean, log_var = self.posterior(x)
        z = mean + (log_var / 2).exp() * torch.randn(mean.shape, generator=generator).to(mean)
        return F.mse_loss(self.decoder(z), x) + kl_weight * 0.5 * (mean**2 + log_var.exp() - 1 - log_var).mean()
