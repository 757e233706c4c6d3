"""How the class enters the network: strategies behind one interface, each a drop-in for the others.

A strategy is a pair. `prepare_conditioning(time_emb, class_emb) -> cond`, (B, D), (B, D) -> (B, D), makes the vector
that modulates every residual block; `conditioner(channels, cond_dim)` makes a module `(h, class_emb) -> h`,
(B, C, H, W), (B, D) -> (B, C, H, W), that is applied after every residual block. Either half may be trivial.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.layers import AdaGroupNorm, AdaLNBlock, CrossAttentionLayer
from ddpm_core.unet import Conditioning


def add_embeddings(time_emb: Tensor, class_emb: Tensor) -> Tensor:
    """The class travels with the time into every residual block (Dhariwal & Nichol 2021, section 4.3)."""
    return time_emb + class_emb


def time_only(time_emb: Tensor, class_emb: Tensor) -> Tensor:
    """The residual blocks see the time alone; the class comes in through the conditioner."""
    return time_emb


class Unconditioned(nn.Module):
    """The identity, for strategies that say everything in prepare_conditioning."""

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        return h


class TokenCrossAttention(nn.Module):
    """Cross-attention over tokens projected from the class embedding: SiLU - Linear(D, D/4) - SiLU - Linear(S·D)."""

    num_tokens = 4  # with one token the softmax over keys is 1, and attention is nothing but an added vector

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()
        self.to_tokens = nn.Sequential(
            nn.SiLU(),
            nn.Linear(cond_dim, cond_dim // 4),
            nn.SiLU(),
            nn.Linear(cond_dim // 4, self.num_tokens * cond_dim),
        )
        self.attend = CrossAttentionLayer(channels, cond_dim)

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        tokens = self.to_tokens(class_emb).unflatten(1, (self.num_tokens, -1))  # (B, D) -> (B, S, D)
        return self.attend(h, tokens)


class GatedModulation(nn.Module):
    """h + sigmoid(g)·(GN32(h)·(1 + scale) + shift - h): a gate that opens from almost shut, its bias being -3."""

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, affine=False)
        self.proj = nn.Linear(cond_dim, 3 * channels)
        nn.init.zeros_(self.proj.weight)
        with torch.no_grad():
            self.proj.bias.copy_(torch.tensor([0.0, 0.0, -3.0]).repeat_interleave(channels))

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        scale, shift, gate = self.proj(F.silu(class_emb))[..., None, None].chunk(3, dim=1)  # 3 x (B, C, 1, 1)
        return h + gate.sigmoid() * (self.norm(h) * (1 + scale) + shift - h)


STRATEGIES = {
    "add": Conditioning(add_embeddings, Unconditioned),
    "adagn": Conditioning(time_only, AdaGroupNorm),
    "adaln_zero": Conditioning(time_only, AdaLNBlock),
    "cross_attention": Conditioning(time_only, TokenCrossAttention),
    "cross_attention_1": Conditioning(time_only, CrossAttentionLayer),  # one key, one value: the degenerate case
    "gated": Conditioning(add_embeddings, GatedModulation),
    "none": Conditioning(time_only, Unconditioned),  # the class is ignored: a control, and the unconditional model
}


def strategy(name: str) -> Conditioning:
    """A strategy by name; ValueError lists the known ones."""
    if name not in STRATEGIES:
        raise ValueError(f"unknown conditioning '{name}'; known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
