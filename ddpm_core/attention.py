"""Attention among pixels, and from pixels to the tokens of a condition (Vaswani et al. 2017, eq. 1)."""

import torch.nn.functional as F
from torch import Tensor, nn


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, S, D) -> (B, nh, S, D/nh)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, nh, S, D/nh) -> (B, S, D)."""
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Every position attends to every other: (B, C, H, W) -> (B, C, H, W), residual."""

    def __init__(self, channels: int, num_heads: int = 4, groups: int = 8, eps: float = 1e-5):
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.GroupNorm(groups, channels, eps)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (B, C, H, W) -> (B, HW, C)
        q, k, v = (split_heads(z, self.num_heads) for z in self.qkv(tokens).chunk(3, dim=-1))  # (B, nh, HW, C/nh)
        h = self.out(merge_heads(F.scaled_dot_product_attention(q, k, v)))  # (B, HW, C)
        return x + h.transpose(1, 2).reshape(x.shape)


class CrossAttention(nn.Module):
    """Queries from image tokens, keys and values from context tokens (Rombach et al. 2022, section 3.3), residual.

    x (B, L, image_dim), context (B, S, text_dim), mask (B, S) bool, True where a token may be attended to.
    A row with no allowed token adds only the output bias.
    """

    def __init__(self, image_dim: int, text_dim: int, num_heads: int = 4):
        super().__init__()
        if image_dim % num_heads:
            raise ValueError(f"image_dim {image_dim} is not divisible by num_heads {num_heads}")
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(image_dim)
        self.q = nn.Linear(image_dim, image_dim)
        self.k = nn.Linear(text_dim, image_dim)
        self.v = nn.Linear(text_dim, image_dim)
        self.out = nn.Linear(image_dim, image_dim)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        q = split_heads(self.q(self.norm(x)), self.num_heads)  # (B, nh, L, d)
        k, v = (split_heads(f(context), self.num_heads) for f in (self.k, self.v))  # (B, nh, S, d)
        empty = None
        if mask is not None:
            empty = ~mask.any(dim=1)  # (B,), rows with no allowed token: their softmax would be nan
            mask = (mask | empty[:, None])[:, None, None, :]  # (B, 1, 1, S)
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, nh, L, d)
        if empty is not None:
            h = h.masked_fill(empty[:, None, None, None], 0)
        return x + self.out(merge_heads(h))  # (B, L, image_dim)


class PixelCrossAttention(CrossAttention):
    """CrossAttention on a feature map: x (B, C, H, W), context (B, S, D), mask (B, S) -> (B, C, H, W), residual.

    Its output layer is zero-initialised, so a network starts by ignoring the context.
    """

    def __init__(self, channels: int, context_dim: int, num_heads: int = 4):
        super().__init__(channels, context_dim, num_heads)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = super().forward(x.flatten(2).transpose(1, 2), context, mask)  # (B, C, H, W) -> (B, HW, C)
        return tokens.transpose(1, 2).reshape(x.shape)  # (B, HW, C) -> (B, C, H, W)


class CrossAttentionLayer(nn.Module):
    """Cross-attention on feature maps: x (B, C, H, W), context (B, D) (one token) or (B, S, D) -> (B, C, H, W).

    Residual. With a single token the softmax is 1, so every position receives the same vector: the projected token.
    """

    def __init__(self, channels: int, cond_dim: int, num_heads: int = 4):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, channels // num_heads
        self.norm = nn.GroupNorm(min(32, channels), channels)
        self.q_proj = nn.Linear(channels, channels)
        self.k_proj = nn.Linear(cond_dim, channels)
        self.v_proj = nn.Linear(cond_dim, channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        if context.dim() == 2:
            context = context[:, None]  # (B, D) -> (B, 1, D)
        q = split_heads(self.q_proj(self.norm(x).flatten(2).transpose(1, 2)), self.num_heads)  # (B, nh, HW, d)
        k, v = (split_heads(f(context), self.num_heads) for f in (self.k_proj, self.v_proj))  # (B, nh, S, d)
        h = self.out_proj(merge_heads(F.scaled_dot_product_attention(q, k, v)))  # (B, HW, C)
        return x + h.transpose(1, 2).reshape(x.shape)
