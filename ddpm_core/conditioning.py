"""How the class enters the network: interchangeable strategies behind one interface.

A strategy is a pair. `prepare_conditioning(time_emb, class_emb) -> cond`, (B, D), (B, D) -> (B, D), makes the vector
that modulates every residual block. `conditioner(channels, cond_dim)` makes a module `(h, class_emb) -> h`,
(B, C, H, W), (B, D) -> (B, C, H, W), which runs after every residual block (in unet2d, after every level). Either half
can be trivial. An optional third part, `at_input`, is a conditioner that runs once, after the first convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.layers import AdaGroupNorm, AdaLNBlock, CrossAttentionLayer
from ddpm_core.unet import Conditioning


def add_embeddings(time_emb: Tensor, class_emb: Tensor) -> Tensor:
    """The class enters every residual block together with the time (Dhariwal & Nichol 2021, section 3.1)."""
    return time_emb + class_emb


def time_only(time_emb: Tensor, class_emb: Tensor) -> Tensor:
    """The residual blocks see only the time; the class enters through the conditioner."""
    return time_emb


def gated_fusion(time_emb: Tensor, class_emb: Tensor) -> Tensor:
    """The class is added to the time, and also scales it by at most a tenth."""
    return time_emb * (1 + 0.1 * class_emb.sigmoid()) + class_emb


class Unconditioned(nn.Module):
    """The identity, for strategies that do all their work in prepare_conditioning."""

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        return h


class InputPlanes(nn.Module):
    """The class as constant planes beside the image's channels, for `at_input`; the conditional GAN
    (Mirza & Osindero 2014) appends the condition to its input in the same way, in dense layers.

    Convolving image and planes together equals convolving the image (the network's own first layer) and the planes
    (this layer), then adding. The planes hold the class embedding, not a one-hot vector: points between classes work.
    """

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()
        self.conv = nn.Conv2d(cond_dim, channels, 3, padding=1, bias=False)

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        planes = class_emb[..., None, None].expand(-1, -1, *h.shape[2:])  # (B, D) -> (B, D, H, W)
        return h + self.conv(planes)


class TokenCrossAttention(nn.Module):
    """Cross-attention over tokens projected from the class embedding: SiLU - Linear(D, D/4) - SiLU - Linear(S·D)."""

    num_tokens = 4  # with one token the softmax over keys is 1, and attention only adds a vector

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
    """h + sigmoid(g)·(GN32(h)·(1 + scale) + shift - h): the gate starts almost shut, with a bias of -3."""

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.proj = nn.Linear(cond_dim, 3 * channels)
        nn.init.zeros_(self.proj.weight)
        with torch.no_grad():
            self.proj.bias.copy_(torch.tensor([0.0, 0.0, -3.0]).repeat_interleave(channels))

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        scale, shift, gate = self.proj(F.silu(class_emb))[..., None, None].chunk(3, dim=1)  # 3 x (B, C, 1, 1)
        return h + gate.sigmoid() * (self.norm(h) * (1 + scale) + shift - h)


STRATEGIES = {
    "add": Conditioning(add_embeddings, Unconditioned),  # FiLM of class and time together, in every residual block
    "adagn": Conditioning(time_only, AdaGroupNorm),
    "adaln_zero": Conditioning(time_only, AdaLNBlock),
    "concat": Conditioning(time_only, Unconditioned, InputPlanes),
    "cross_attention": Conditioning(time_only, TokenCrossAttention),
    "cross_attention_1": Conditioning(time_only, CrossAttentionLayer),  # one key, one value: the degenerate case
    "gated_only": Conditioning(time_only, GatedModulation),
    "gated": Conditioning(add_embeddings, GatedModulation),
    # The conditioning track's baselines under their published names, and the designs on record
    "concat-film": Conditioning(add_embeddings, Unconditioned),
    "cross-attn": Conditioning(time_only, CrossAttentionLayer),
    "adanorm": Conditioning(time_only, AdaLNBlock),
    "gated-fusion": Conditioning(gated_fusion, AdaLNBlock),
    "film-cross-attention": Conditioning(add_embeddings, CrossAttentionLayer),
    "film-4-tokens": Conditioning(add_embeddings, TokenCrossAttention),
    "film-sigmoid-gate": Conditioning(add_embeddings, GatedModulation),
    "none": Conditioning(time_only, Unconditioned),  # the class is ignored: a control, and the unconditional model
}


def strategy(name: str) -> Conditioning:
    """A strategy by name; ValueError for an unknown name."""
    if name not in STRATEGIES:
        raise ValueError(f"unknown conditioning '{name}'; known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
