"""The U-Net: residual blocks down to a small map, attention there, and up again with skips by concatenation.

The class comes in through a pluggable pair (see conditioning.py): `prepare_conditioning` mixes the embeddings that
modulate every residual block, and a `conditioner` follows every residual block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.attention import SelfAttention
from ddpm_core.layers import AdaResBlock, sinusoidal_embedding, zero_init


@dataclass(frozen=True)
class Conditioning:
    """The pair that says how the class enters the network."""

    prepare_conditioning: Callable[[Tensor, Tensor], Tensor]  # (B, D), (B, D) -> (B, D)
    conditioner: Callable[[int, int], nn.Module]  # (channels, cond_dim) -> module (h, class_emb) -> h


@dataclass(frozen=True)
class UNetConfig:
    """The network's shape. The defaults are ConditionalUNetV2 for 32×32 colour images."""

    image_channels: int = 3
    image_size: int = 32
    num_classes: int = 10
    channels: tuple[int, ...] = (128, 256, 256)  # one width a level; each level halves the map: 32 -> 16 -> 8
    blocks_per_level: int = 2
    attention_levels: tuple[int, ...] = ()  # self-attention after the blocks of these levels; the middle always has it
    num_heads: int = 4
    cond_dim: int = 256

    def __post_init__(self) -> None:
        factor = 2 ** (len(self.channels) - 1)
        if self.image_size % factor:
            raise ValueError(
                f"image size {self.image_size} is not divisible by {factor}, which {len(self.channels)} levels need; "
                f"resize the images or use fewer levels"
            )
        if bad := [c for c in self.channels if c % 8]:
            raise ValueError(f"channel widths must be multiples of 8 (GroupNorm has 8 groups), got {bad}")


class UNet(nn.Module):
    """Predicts eps (or v, or x0) from a noisy image, its timestep and its class.

    `model(x, t, y)`: x (B, C, H, W), t (B,), y (B,) in 0 ... K, K being the null class -> (B, C, H, W).
    No labels means the null class. `forward_with_cond(x, t, class_emb)` takes embeddings (B, D) instead.
    """

    def __init__(self, config: UNetConfig, conditioning: Conditioning):
        super().__init__()
        self.config, self.conditioning = config, conditioning
        widths, dim, n = config.channels, config.cond_dim, config.blocks_per_level
        self.time_mlp = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.class_table = nn.Embedding(config.num_classes + 1, dim)  # the last row is the null class
        self.conv_in = nn.Conv2d(config.image_channels, widths[0], 3, padding=1)

        def attention(level: int) -> nn.Module:
            return SelfAttention(widths[level], config.num_heads) if level in config.attention_levels else nn.Identity()

        levels = range(len(widths))
        ins = [widths[0], *widths[:-1]]  # what comes into a level on the way down
        self.down = nn.ModuleList(
            nn.ModuleList(AdaResBlock(ins[i] if j == 0 else widths[i], widths[i], dim) for j in range(n))
            for i in levels
        )
        self.down_attention = nn.ModuleList(attention(i) for i in levels)
        self.shrink = nn.ModuleList(nn.Conv2d(widths[i], widths[i], 4, stride=2, padding=1) for i in levels[:-1])
        self.mid = nn.ModuleList(AdaResBlock(widths[-1], widths[-1], dim) for _ in range(2))
        self.mid_attention = SelfAttention(widths[-1], config.num_heads)
        above = [*widths[1:], widths[-1]]  # what comes into a level on the way up
        self.up = nn.ModuleList(
            nn.ModuleList(
                AdaResBlock((above[i] if j == 0 else widths[i]) + widths[i], widths[i], dim) for j in range(n)
            )
            for i in levels
        )
        self.up_attention = nn.ModuleList(attention(i) for i in levels)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(widths[i + 1], widths[i + 1], 4, stride=2, padding=1) for i in levels[:-1]
        )
        self.norm_out = nn.GroupNorm(8, widths[0])
        self.conv_out = zero_init(nn.Conv2d(widths[0], config.image_channels, 3, padding=1))
        # Made last: whatever random numbers a design draws, the trunk's initial weights depend on the seed alone.
        per_level = [w for w in widths for _ in range(n)]
        self.conditioners = nn.ModuleList(
            conditioning.conditioner(c, dim) for c in [*per_level, widths[-1], widths[-1], *reversed(per_level)]
        )

    @property
    def null_class(self) -> int:
        return self.config.num_classes

    @property
    def null_cond(self) -> Tensor:
        """The condition that says nothing, (1,), on the network's device: what guidance and label dropout put in."""
        return torch.tensor([self.null_class], device=self.class_table.weight.device)

    def embed_class(self, y: Tensor) -> Tensor:
        """Labels (B,) -> class embeddings (B, D)."""
        return self.class_table(y)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        if y is None:
            y = torch.full((len(x),), self.null_class, device=x.device)
        return self.forward_with_cond(x, t, self.embed_class(y))

    def forward_with_cond(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        """As forward, with embeddings (B, D) in place of labels: any point between two classes will do."""
        time_emb = self.time_mlp(sinusoidal_embedding(t, self.config.cond_dim))  # (B,) -> (B, D)
        cond = self.conditioning.prepare_conditioning(time_emb, class_emb)  # (B, D)
        conditioners = iter(self.conditioners)

        def residual(block: AdaResBlock, h: Tensor) -> Tensor:
            return next(conditioners)(block(h, cond), class_emb)

        h, skips = self.conv_in(x), []  # (B, C, H, W) -> (B, c0, H, W)
        for i, blocks in enumerate(self.down):
            for block in blocks:
                h = self.down_attention[i](residual(block, h))  # (B, ci, H/2^i, W/2^i)
                skips.append(h)
            if i < len(self.shrink):
                h = self.shrink[i](h)  # (B, ci, H/2^(i+1), W/2^(i+1))
        h = residual(self.mid[0], h)
        h = residual(self.mid[1], self.mid_attention(h))
        for i in reversed(range(len(self.up))):
            for block in self.up[i]:
                h = self.up_attention[i](residual(block, torch.cat([h, skips.pop()], dim=1)))  # (B, ci, ...)
            if i > 0:
                h = self.grow[i - 1](h)  # (B, ci, H/2^(i-1), W/2^(i-1))
        return self.conv_out(F.silu(self.norm_out(h)))  # (B, C, H, W)


def build_unet(config: UNetConfig, conditioning: Conditioning, seed: int = 0) -> UNet:
    """A network whose initial weights depend on the seed alone; the global random stream is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(config, conditioning)
