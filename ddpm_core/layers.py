"""Building blocks of the U-Net: time embedding, adaptive group norm, residual block, and AdaLN-Zero."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.attention import CrossAttentionLayer, PixelCrossAttention, SelfAttention

__all__ = [
    "AdaGroupNorm", "AdaLNBlock", "AdaResBlock", "CrossAttentionLayer", "ResBlock", "UNetBlockWithCrossAttention",
    "sinusoidal_embedding", "zero_init",
]  # fmt: skip


def sinusoidal_embedding(
    t: Tensor, dim: int, max_period: float = 10_000.0, freq_shift: int = 0, cos_first: bool = True
) -> Tensor:
    """Timesteps (B,) -> (B, dim): sines and cosines at geometrically spaced frequencies (Vaswani et al. 2017, 3.5).

    The frequencies fall from 1 towards 1/max_period, and reach it if freq_shift is 1.
    """
    if dim % 2:
        raise ValueError(f"the embedding's dimension must be even, got {dim}")
    step = -math.log(max_period) / (dim // 2 - freq_shift)
    freqs = torch.exp(torch.arange(dim // 2, device=t.device) * step)  # (dim/2,)
    angles = t.float()[:, None] * freqs  # (B, dim/2)
    halves = [angles.cos(), angles.sin()] if cos_first else [angles.sin(), angles.cos()]
    return torch.cat(halves, dim=1)  # (B, dim)


def zero_init(layer: nn.Module) -> nn.Module:
    """Zero a layer's weights, so that the residual block it ends starts as the identity."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


class AdaGroupNorm(nn.Module):
    """GroupNorm whose scale and shift are predicted from the condition (Dhariwal & Nichol 2021, section 3.1).

    x (B, C, ...), cond (B, cond_dim) -> (B, C, ...). The norm has no affine parameters: the condition supplies them.
    """

    def __init__(self, num_channels: int, cond_dim: int, num_groups: int = 8):
        super().__init__()
        self.norm = nn.GroupNorm(num_groups, num_channels, affine=False)
        self.proj = nn.Linear(cond_dim, 2 * num_channels)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        scale, shift = self.proj(F.silu(cond)).chunk(2, dim=1)  # 2 x (B, C)
        broadcast = (..., *[None] * (x.dim() - 2))
        return self.norm(x) * (1 + scale[broadcast]) + shift[broadcast]  # (B, C, ...)


class AdaResBlock(nn.Module):
    """Residual block conditioned through both of its norms: x (B, in_ch, H, W), cond (B, D) -> (B, out_ch, H, W)."""

    def __init__(self, in_ch: int, out_ch: int, cond_dim: int):
        super().__init__()
        self.norm1 = AdaGroupNorm(in_ch, cond_dim)
        self.conv1 = nn.Conv2d(in_ch, out_ch, 3, padding=1)
        self.norm2 = AdaGroupNorm(out_ch, cond_dim)
        self.conv2 = zero_init(nn.Conv2d(out_ch, out_ch, 3, padding=1))
        self.skip = nn.Conv2d(in_ch, out_ch, 1) if in_ch != out_ch else nn.Identity()

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x, cond)))  # (B, in_ch, H, W) -> (B, out_ch, H, W)
        h = self.conv2(F.silu(self.norm2(h, cond)))
        return self.skip(x) + h


class ResBlock(nn.Module):
    """Residual block that adds the time embedding (Ho et al. 2020, appendix B).

    x (B, in_ch, H, W), emb (B, emb_dim) -> (B, out_ch, H, W). The norms have their own affine parameters.
    """

    def __init__(self, in_ch: int, out_ch: int, emb_dim: int, groups: int = 32, eps: float = 1e-5):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_ch, eps)
        self.conv1 = nn.Conv2d(in_ch, out_ch, 3, padding=1)
        self.time = nn.Linear(emb_dim, out_ch)
        self.norm2 = nn.GroupNorm(groups, out_ch, eps)
        self.conv2 = nn.Conv2d(out_ch, out_ch, 3, padding=1)
        self.skip = nn.Conv2d(in_ch, out_ch, 1) if in_ch != out_ch else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))  # (B, in_ch, H, W) -> (B, out_ch, H, W)
        h = h + self.time(F.silu(emb))[..., None, None]  # (B, out_ch, 1, 1), the same at every position
        h = self.conv2(F.silu(self.norm2(h)))
        return self.skip(x) + h


class UNetBlockWithCrossAttention(nn.Module):
    """Residual -> self-attention -> cross-attention -> residual: the middle of UNet2D.

    x (B, C, H, W), emb (B, emb_dim), context (B, S, context_dim), mask (B, S) bool -> (B, C, H, W).
    It has cross-attention if context_dim is given, and skips it when called without context.
    """

    def __init__(
        self,
        channels: int,
        emb_dim: int,
        context_dim: int | None,
        num_heads: int = 4,
        groups: int = 32,
        eps: float = 1e-5,
    ):
        super().__init__()
        self.res1 = ResBlock(channels, channels, emb_dim, groups, eps)
        self.attend = SelfAttention(channels, num_heads, groups, eps)
        self.cross = PixelCrossAttention(channels, context_dim, num_heads) if context_dim else None
        self.res2 = ResBlock(channels, channels, emb_dim, groups, eps)

    def forward(self, x: Tensor, emb: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        h = self.attend(self.res1(x, emb))
        if self.cross is not None and context is not None:
            h = self.cross(h, context, mask)
        return self.res2(h, emb)


class AdaLNBlock(nn.Module):
    """AdaLN-Zero on feature maps (Peebles & Xie 2023, section 3.2): scale, shift and gate from the class embedding.

    h (B, C, H, W), class_emb (B, cond_dim) -> (B, C, H, W). Zero-initialised, so the block starts as the identity.
    """

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()
        self.norm = nn.GroupNorm(min(32, channels), channels, affine=False)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.proj = zero_init(nn.Linear(cond_dim, 3 * channels))

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        scale, shift, gate = self.proj(F.silu(class_emb))[..., None, None].chunk(3, dim=1)  # 3 x (B, C, 1, 1)
        return h + gate * self.mix(F.silu(self.norm(h) * (1 + scale) + shift))
