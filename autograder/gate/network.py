"""The course's own network, as the gates train it in the parent."""

import threading
from typing import Any

from torch import Tensor, nn

from ddpm_core.unet import ConditionalUNetV2, Conditioning, UNetConfig, build_unet

UNET = {
    "image_channels": 1, "image_size": 8, "num_classes": 10, "channels": [32, 64], "blocks_per_level": 1,
    "attention_levels": [], "num_heads": 4, "cond_dim": 64,
}  # fmt: skip
BUILDING = threading.Lock()  # building seeds torch's global stream, which all graders in this process share


class NoConditioner(nn.Module):
    """Leaves the features as they are."""

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        return h


def network(unet: dict[str, Any], pair: Conditioning, seed: int) -> ConditionalUNetV2:
    config = unet | {k: tuple(unet[k]) for k in ("channels", "attention_levels")}
    with BUILDING:
        return build_unet(UNetConfig(**config), pair, seed)


def without_classes(unet: dict[str, Any], seed: int) -> ConditionalUNetV2:
    """Build the network without a pair, so that it sees the time but no class."""
    return network(unet, Conditioning(lambda time_emb, class_emb: time_emb, NoConditioner), seed)
