"""The small interface of a feature network: anything with the same five members works too."""

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
    input_range: tuple[float, float]  # of what the network itself is fed

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> (N, dimension) float32, on the CPU; no image depends on another."""
        ...


@dataclass(frozen=True)
class Extractor:
    """A FeatureNetwork from a function: `embed` takes a batch (B, C, H, W) uint8 and returns (B, dimension)."""

    name: str  # stands beside every result
    version: str  # changes with the weights: results of different versions are never compared
    dimension: int  # D, the length of a feature vector
    input_range: tuple[float, float]  # of what the network itself is fed
    embed: Callable[[Tensor], Tensor]  # (B, C, H, W) uint8 -> (B, dimension)
    batch: int = 100  # images in one pass of the network: bounds the memory

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8 or images.dim() != 4:
            got = f"{tuple(images.shape)} {images.dtype}"
            raise ValueError(f"features are taken of images (N, C, H, W) in uint8, got {got}")
        parts = [self.embed(batch).float().cpu() for batch in images.split(self.batch)]
        return torch.cat(parts) if parts else torch.empty(0, self.dimension)


def coloured(images: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) -> (B, 3, H, W): the networks trained on photographs take RGB."""
    return images.expand(-1, 3, -1, -1)
