"""DiT: a transformer on patches instead of a U-Net, conditioned by AdaLN-Zero (Peebles & Xie 2023)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.attention import merge_heads, split_heads
from ddpm_core.layers import sinusoidal_embedding, zero_init
from ddpm_core.network import ConditionalNetwork, Conditioning, NetworkConfig


@dataclass(frozen=True)
class DiTConfig(NetworkConfig):
    """Shape of a `DiT`: one level of `blocks_per_level` blocks; tokens and embeddings have the same width D."""

    architecture: ClassVar[str] = "dit"
    context_dim: ClassVar[None] = None  # it takes no context

    channels: tuple[int, ...] = (128,)
    blocks_per_level: int = 6
    patch_size: int = 2
    num_heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_widths(1, self.num_heads, "num_heads")
        if len(self.channels) > 1 or self.image_size % self.patch_size:
            raise ValueError("a transformer needs one width in `channels`, and a patch_size that divides image_size")

    @property
    def dim(self) -> int:
        return self.channels[0]


def patchify(x: Tensor, p: int) -> Tensor:
    """Patches of p×p pixels, row by row: (B, C, H, W) -> (B, H/p·W/p, p·p·C)."""
    x = x.unflatten(3, (-1, p)).unflatten(2, (-1, p))  # (B, C, H/p, p, W/p, p)
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)  # (B, H/p, W/p, p, p, C) -> (B, N, p·p·C)


def unpatchify(tokens: Tensor, p: int, size: tuple[int, int]) -> Tensor:
    """The inverse of `patchify`, given the image size (H, W): (B, H/p·W/p, p·p·C) -> (B, C, H, W)."""
    x = tokens.unflatten(2, (p, p, -1)).unflatten(1, (size[0] // p, size[1] // p))  # (B, H/p, W/p, p, p, C)
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)  # (B, C, H/p, p, W/p, p) -> (B, C, H, W)


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Layer norm of x (B, N, D); its scale and shift (B, 1, D) come from the condition."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class DiTBlock(nn.Module):
    """Attention, then an MLP, each with scale, shift and gate from the condition: AdaLN-Zero (section 3.2).

    x (B, N, dim), cond (B, cond_dim) -> (B, N, dim). Zero-initialised, so the block starts as the identity.
    """

    def __init__(self, dim: int, cond_dim: int, num_heads: int = 4):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(approximate="tanh"), nn.Linear(4 * dim, dim))
        self.proj = zero_init(nn.Linear(cond_dim, 6 * dim))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.proj(F.silu(cond))[:, None].chunk(6, dim=2)  # (B, 1, dim)
        qkv = self.qkv(modulate(x, scale1, shift1)).chunk(3, dim=2)  # 3 x (B, N, dim)
        q, k, v = (split_heads(z, self.num_heads) for z in qkv)  # (B, nh, N, dim/nh)
        x = x + gate1 * self.out(merge_heads(F.scaled_dot_product_attention(q, k, v)))
        return x + gate2 * self.mlp(modulate(x, scale2, shift2))


class DiT(ConditionalNetwork):
    """Patches -> tokens -> blocks -> patches; called like the U-Nets, see ConditionalNetwork."""

    def __init__(self, config: DiTConfig, conditioning: Conditioning):
        super().__init__(config, conditioning)
        dim, p = config.dim, config.patch_size
        pixels, blocks = p * p * config.image_channels, range(config.blocks_per_level)
        self.time_mlp = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.class_table = self.make_class_table()
        self.embed = nn.Linear(pixels, dim)
        self.positions = nn.Parameter(0.02 * torch.randn((config.image_size // p) ** 2, dim))  # (N, D)
        self.blocks = nn.ModuleList(DiTBlock(dim, dim, config.num_heads) for _ in blocks)
        self.proj = zero_init(nn.Linear(dim, 2 * dim))
        self.head = zero_init(nn.Linear(dim, pixels))
        self.conditioners = nn.ModuleList(conditioning.conditioner(dim, dim) for _ in blocks)
        self.at_input = self.make_input_conditioner()

    def forward_with_cond(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        """Like forward, but with class embeddings (B, D) for labels, so points between two classes work too."""
        p, grid = self.config.patch_size, [n // self.config.patch_size for n in x.shape[2:]]

        def on_map(conditioner: nn.Module, h: Tensor) -> Tensor:  # conditioners take feature maps
            return conditioner(h.mT.unflatten(2, grid), class_emb).flatten(2).mT  # (B, N, D), through (B, D, H/p, W/p)

        sines = sinusoidal_embedding(t, self.config.dim).to(self.embed.weight.dtype)  # (B,) -> (B, D)
        cond = self.conditioning.prepare_conditioning(self.time_mlp(sines), class_emb)  # (B, D)
        h = self.embed(patchify(x, p)) + self.positions  # (B, C, H, W) -> (B, N, D)
        h = on_map(self.at_input, h) if self.at_input is not None else h
        for block, conditioner in zip(self.blocks, self.conditioners):
            h = on_map(conditioner, block(h, cond))
        scale, shift = self.proj(F.silu(cond))[:, None].chunk(2, dim=2)  # 2 x (B, 1, D)
        return unpatchify(self.head(modulate(h, scale, shift)), p, tuple(x.shape[2:]))  # (B, C, H, W)
