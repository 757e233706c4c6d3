"""Which pixel attends to which word: cross-attention weights, recorded while a network runs."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.attention import CrossAttention, CrossAttentionLayer, split_heads


class AttentionMap(NamedTuple):
    """One cross-attention in one forward pass: weights (B, nh, L, S), each pixel's row summing to 1 over S tokens."""

    layer: str
    weights: Tensor


def attention_weights(q: Tensor, k: Tensor, num_heads: int, mask: Tensor | None = None) -> Tensor:
    """Queries (B, L, D) and keys (B, S, D) -> softmax(QKᵀ/√d) (B, nh, L, S) (Vaswani et al. 2017, eq. 1). mask (B, S)
    bool is True where a token may be attended to; a row without such a token is zero."""
    q, k = split_heads(q, num_heads), split_heads(k, num_heads)  # (B, nh, L, d), (B, nh, S, d)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (B, nh, L, S)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None], -math.inf)
    return scores.softmax(dim=-1).nan_to_num(0)


@contextmanager
def attention_maps(model: nn.Module) -> Iterator[list[AttentionMap]]:
    """Inside `with attention_maps(model) as maps:`, every forward pass appends one AttentionMap per layer, in order.
    With guidance in one batched pass, the B rows of the empty caption come first, then the B rows of the captions."""
    maps: list[AttentionMap] = []
    handles = []

    def keep(store: dict[str, Tensor], name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        store[name] = output.detach()

    def record(store: dict[str, Tensor], layer: str, module: Any, inputs: tuple, named: dict, output: Tensor) -> None:
        mask = named.get("mask", inputs[2] if len(inputs) > 2 else None)
        maps.append(AttentionMap(layer, attention_weights(store["q"], store["k"], module.num_heads, mask)))

    for layer, module in model.named_modules():
        if not isinstance(module, (CrossAttention, CrossAttentionLayer)):
            continue
        own = isinstance(module, CrossAttention)
        projections = {"q": module.q if own else module.q_proj, "k": module.k if own else module.k_proj}
        store: dict[str, Tensor] = {}
        handles += [p.register_forward_hook(partial(keep, store, name)) for name, p in projections.items()]
        handles.append(module.register_forward_hook(partial(record, store, layer), with_kwargs=True))
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def word_maps(maps: Sequence[AttentionMap], size: int) -> Tensor:
    """The share of each pixel's attention that goes to each token, averaged over heads, layers and passes, (B, S,
    size, size). After Tang et al. 2022 (DAAM). Feature maps must be square. ValueError if nothing was recorded."""
    if not maps:
        raise ValueError("no attention was recorded; run the model inside `with attention_maps(model) as maps`")
    total = 0
    for _, weights in maps:
        side = math.isqrt(weights.shape[2])
        share = weights.float().mean(1).transpose(1, 2).unflatten(2, (side, side))  # (B, nh, L, S) -> (B, S, h, w)
        total = total + F.interpolate(share, (size, size), mode="bilinear", antialias=True)
    return torch.as_tensor(total / len(maps))  # (B, S, size, size)
