"""The U-Net: residual blocks down to a small map, attention there, and back up with concatenated skips.

The class enters through a pluggable pair (see conditioning.py): `prepare_conditioning` mixes the embeddings that
modulate every residual block, and a `conditioner` follows every residual block.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.attention import SelfAttention
from ddpm_core.dit import DiT, DiTConfig
from ddpm_core.layers import AdaResBlock, sinusoidal_embedding, zero_init
from ddpm_core.network import ConditionalNetwork, Conditioning, NetworkConfig

__all__ = ["ARCHITECTURES", "ConditionalNetwork", "ConditionalUNetV2", "Conditioning", "UNetConfig", "build_unet"]


@dataclass(frozen=True)
class UNetConfig(NetworkConfig):
    """Shape of a `ConditionalUNetV2`; the defaults are for 32×32 colour images."""

    architecture: ClassVar[str] = "v2"
    groups: ClassVar[int] = 8  # in every group norm
    context_dim: ClassVar[None] = None  # it takes no context

    num_heads: int = 4
    cond_dim: int = 256  # D: width of the time and class embeddings

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_widths(self.groups, self.num_heads, "num_heads")

    @property
    def dim(self) -> int:
        return self.cond_dim


class ConditionalUNetV2(ConditionalNetwork):
    """The course's own U-Net: adaptive group norms in every block, attention in the middle; see ConditionalNetwork."""

    def __init__(self, config: UNetConfig, conditioning: Conditioning):
        super().__init__(config, conditioning)
        widths, dim, n = config.channels, config.dim, config.blocks_per_level
        self.time_mlp = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.class_table = self.make_class_table()
        self.conv_in = nn.Conv2d(config.image_channels, widths[0], 3, padding=1)

        def attention(level: int) -> nn.Module:
            return SelfAttention(widths[level], config.num_heads) if level in config.attention_levels else nn.Identity()

        levels = range(len(widths))
        ins = [widths[0], *widths[:-1]]  # each level's input on the way down
        self.down = nn.ModuleList(
            nn.ModuleList(AdaResBlock(ins[i] if j == 0 else widths[i], widths[i], dim) for j in range(n))
            for i in levels
        )
        self.down_attention = nn.ModuleList(attention(i) for i in levels)
        self.downsample = nn.ModuleList(nn.Conv2d(widths[i], widths[i], 4, stride=2, padding=1) for i in levels[:-1])
        self.mid = nn.ModuleList(AdaResBlock(widths[-1], widths[-1], dim) for _ in range(2))
        self.mid_attention = SelfAttention(widths[-1], config.num_heads)
        above = [*widths[1:], widths[-1]]  # each level's input on the way up
        self.up = nn.ModuleList(
            nn.ModuleList(
                AdaResBlock((above[i] if j == 0 else widths[i]) + widths[i], widths[i], dim) for j in range(n)
            )
            for i in levels
        )
        self.up_attention = nn.ModuleList(attention(i) for i in levels)
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(widths[i + 1], widths[i + 1], 4, stride=2, padding=1) for i in levels[:-1]
        )
        self.norm_out = nn.GroupNorm(8, widths[0])
        self.conv_out = zero_init(nn.Conv2d(widths[0], config.image_channels, 3, padding=1))
        # Built last, so the trunk's initial weights depend only on the seed, whatever random numbers a design draws.
        per_level = [w for w in widths for _ in range(n)]
        self.conditioners = nn.ModuleList(
            conditioning.conditioner(c, dim) for c in [*per_level, widths[-1], widths[-1], *reversed(per_level)]
        )
        self.at_input = self.make_input_conditioner()

    def forward_with_cond(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        """Like forward, but with class embeddings (B, D) for labels, so points between two classes work too."""
        sines = sinusoidal_embedding(t, self.config.dim).to(self.conv_in.weight.dtype)  # (B,) -> (B, D)
        time_emb = self.time_mlp(sines)  # (B, D)
        cond = self.conditioning.prepare_conditioning(time_emb, class_emb)  # (B, D)
        conditioners = iter(self.conditioners)

        def residual(block: AdaResBlock, h: Tensor) -> Tensor:
            return next(conditioners)(block(h, cond), class_emb)

        h, skips = self.conv_in(x), []  # (B, C, H, W) -> (B, c0, H, W)
        if self.at_input is not None:
            h = self.at_input(h, class_emb)
        for i, blocks in enumerate(self.down):
            for block in blocks:
                h = self.down_attention[i](residual(block, h))  # (B, ci, H/2^i, W/2^i)
                skips.append(h)
            if i < len(self.downsample):
                h = self.downsample[i](h)  # (B, ci, H/2^(i+1), W/2^(i+1))
        h = residual(self.mid[0], h)
        h = residual(self.mid[1], self.mid_attention(h))
        for i in reversed(range(len(self.up))):
            for block in self.up[i]:
                h = self.up_attention[i](residual(block, torch.cat([h, skips.pop()], dim=1)))  # (B, ci, ...)
            if i > 0:
                h = self.upsample[i - 1](h)  # (B, ci, H/2^(i-1), W/2^(i-1))
        return self.conv_out(F.silu(self.norm_out(h)))  # (B, C, H, W)


# Config and network by name; see registry.register
ARCHITECTURES = {"v2": (UNetConfig, ConditionalUNetV2), "dit": (DiTConfig, DiT)}


def build_unet(config: NetworkConfig, conditioning: Conditioning, seed: int = 0) -> ConditionalNetwork:
    """A network whose initial weights depend only on the seed; the global random state stays unchanged."""
    _, network = ARCHITECTURES[config.architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network(config, conditioning)
