"""Feature networks behind one small interface; every distance says which one it was measured with.

`network(name)` gives the networks that are known by name; anything else with the same five members works too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.metrics.classifier import load_classifier

COURSE = DATA_DIR / "classifiers"
EFFICIENTNET = "efficientnet-lite0"


class FeatureNetwork(Protocol):
    """What a feature network must offer."""

    name: str
    version: str  # changes with the weights: figures of different versions are never compared
    dimension: int
    input_range: tuple[float, float]  # of what the network itself is fed

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> (N, dimension) float32, on the CPU; no image depends on another."""
        ...


@dataclass(frozen=True)
class Extractor:
    """A FeatureNetwork from a function: `embed` takes a batch (B, C, H, W) uint8 and returns (B, dimension)."""

    name: str
    version: str
    dimension: int
    input_range: tuple[float, float]
    embed: Callable[[Tensor], Tensor]
    batch: int = 100

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8 or images.dim() != 4:
            raise ValueError(
                f"features are taken of images (N, C, H, W) in uint8, got {tuple(images.shape)} {images.dtype}"
            )
        parts = [self.embed(batch).float().cpu() for batch in images.split(self.batch)]
        return torch.cat(parts) if parts else torch.empty(0, self.dimension)


def coloured(images: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) -> (B, 3, H, W): the networks trained on photographs take RGB."""
    return images.expand(-1, 3, -1, -1)


def course(path: Path | str, device: torch.device | str = "cpu") -> Extractor:
    """The features of one of the course's classifiers, which takes pictures of the size it was trained on."""
    model, version = load_classifier(path).to(device), checkpoint.file_digest(path)
    c, size = model.config.image_channels, model.config.image_size
    name = f"{checkpoint.stem(path).name}-classifier"

    def embed(images: Tensor) -> Tensor:
        if images.shape[1:] != (c, size, size):
            raise ValueError(
                f"{name} takes {size}×{size} images of {c} channel(s), got {images.shape[3]}×{images.shape[2]} of "
                f"{images.shape[1]}; choose {EFFICIENTNET}-320, which takes any"
            )
        return model.features(images.to(device).float() / 127.5 - 1)

    return Extractor(name, version, model.head.in_features, (-1.0, 1.0), embed, batch=500)


def shipped() -> list[str]:
    """The course's classifiers by name."""
    return sorted(p.stem for p in COURSE.glob("*.safetensors"))


def network(name: str, device: torch.device | str = "cpu") -> FeatureNetwork:
    """A feature network by name, or the path of a course classifier; ValueError lists the known ones."""
    from ddpm_tools.evaluation.efficientnet import DIMENSIONS, efficientnet_lite0
    from ddpm_tools.evaluation.inception import inception

    if name == "inception":
        return inception(device)
    if name in (known := {f"{EFFICIENTNET}-{d}": d for d in DIMENSIONS}):
        return efficientnet_lite0(known[name], device)
    plain = name.removesuffix("-classifier")
    if plain in shipped():
        return course(COURSE / plain, device)
    if checkpoint.with_suffix(checkpoint.stem(name), ".safetensors").is_file():
        return course(name, device)
    names = [*(f"{n}-classifier" for n in shipped()), *known, "inception"]
    raise ValueError(f"unknown feature network '{name}'; known: {', '.join(names)}, or the path of a course classifier")
