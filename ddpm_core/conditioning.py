"""How the class enters the network: strategies behind one interface, each a drop-in for the others.

A strategy is a pair. `prepare_conditioning(time_emb, class_emb) -> cond`, (B, D), (B, D) -> (B, D), makes the vector
that modulates every residual block; `conditioner(channels, cond_dim)` makes a module `(h, class_emb) -> h`,
(B, C, H, W), (B, D) -> (B, C, H, W), that is applied after every residual block (in unet2d, after every level). Either
half may be trivial. A third part, `at_input`, is a conditioner that is applied once, after the first convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.layers import AdaGroupNorm, AdaLNBlock, CrossAttentionLayer
from ddpm_core.unet import Conditioning


def add_embeddings(time_emb: Tensor, class_emb: Tensor) -> Tensor:
    """The class travels with the time into every residual block (Dhariwal & Nichol 2021, section 3.1)."""
    return time_emb + class_emb


def time_only(time_emb: Tensor, class_emb: Tensor) -> Tensor:
    """The residual blocks see the time alone; the class comes in through the conditioner."""
    return time_emb


def gated_fusion(time_emb: Tensor, class_emb: Tensor) -> Tensor:
    """The class is added to the time, and scales it too, by at most a tenth."""
    return time_emb * (1 + 0.1 * class_emb.sigmoid()) + class_emb


class Unconditioned(nn.Module):
    """The identity, for strategies that say everything in prepare_conditioning."""

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        return h


class InputPlanes(nn.Module):
    """The class as constant planes beside the image's channels, for `at_input`; in a GAN of dense layers
    (Mirza & Osindero 2014) the condition is appended to the input.

    A convolution of planes and image together is the sum of the network's own, of the image, and of this one, of the
    planes: of the embedding, which is the one-hot vector times the class table, so that points between classes can too.
    """

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()
        self.conv = nn.Conv2d(cond_dim, channels, 3, padding=1, bias=False)

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        planes = class_emb[..., None, None].expand(-1, -1, *h.shape[2:])  # (B, D) -> (B, D, H, W)
        return h + self.conv(planes)


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
    # The conditioning track's baselines, by their published names, and the designs on record
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
    """A strategy by name; ValueError lists the known ones."""
    if name not in STRATEGIES:
        raise ValueError(f"unknown conditioning '{name}'; known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
