"""The small interface of a feature network: anything with the same five members will do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class FeatureNetwork(Protocol):
    """What a feature network must offer."""

    name: str
    version: str  # changes with the weights: results of different versions are never compared
    dimension: int
    input_range: tuple[float, float]  # the range of the network's own input

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> (N, dimension) float32, on the CPU; each image is independent of the others."""
        ...


@dataclass(frozen=True)
class Extractor:
    """A FeatureNetwork from a function: `embed` takes a batch (B, C, H, W) uint8 and returns (B, dimension)."""

    name: str  # reported with every result
    version: str  # changes with the weights: results of different versions are never compared
    dimension: int  # D, the length of a feature vector
    input_range: tuple[float, float]  # the range of the network's own input
    embed: Callable[[Tensor], Tensor]  # (B, C, H, W) uint8 -> (B, dimension)
    batch: int = 100  # images per forward pass, which limits memory

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8 or images.dim() != 4:
            got = f"{tuple(images.shape)} {images.dtype}"
            raise ValueError(f"features need images (N, C, H, W) in uint8, got {got}")
        parts = [self.embed(batch).float().cpu() for batch in images.split(self.batch)]
        return torch.cat(parts) if parts else torch.empty(0, self.dimension)


def coloured(images: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) -> (B, 3, H, W): networks trained on photographs need RGB."""
    return images.expand(-1, 3, -1, -1)
