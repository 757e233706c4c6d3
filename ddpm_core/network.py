"""What all networks here share: a config, the pair that conditions them, and how they are called."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Conditioning:
    """The pair that defines how the class enters the network, with an optional third part."""

    prepare_conditioning: Callable[[Tensor, Tensor], Tensor]  # (B, D), (B, D) -> (B, D)
    conditioner: Callable[[int, int], nn.Module]  # (channels, cond_dim) -> module (h, class_emb) -> h
    at_input: Callable[[int, int], nn.Module] | None = None  # a conditioner applied once, after the first convolution


@dataclass(frozen=True)
class NetworkConfig:
    """The settings that all networks share. ValueError if the sizes do not fit together."""

    architecture: ClassVar[str]  # its name in a checkpoint's JSON

    image_channels: int = 3
    image_size: int = 32
    num_classes: int = 10  # 0: unconditional
    channels: tuple[int, ...] = (128, 256, 256)  # one width per level; each level halves the map: 32 -> 16 -> 8
    blocks_per_level: int = 2
    attention_levels: tuple[int, ...] = ()  # self-attention at these levels, 0 the finest; the middle always has it
    # scale of the class table's initial values: near 0, all classes start out alike
    class_scale: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("the network needs at least one level; give `channels` a width for each")
        for name in ("blocks_per_level", "image_channels", "image_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if bad := [c for c in self.channels if c < 1]:
            raise ValueError(f"channel widths must be at least 1, got {bad}")
        factor = 2 ** (len(self.channels) - 1)
        if self.image_size % factor:
            raise ValueError(
                f"image size {self.image_size} is not divisible by {factor}, which {len(self.channels)} levels need; "
                f"resize the images or use fewer levels"
            )
        if bad := [i for i in self.attention_levels if i not in range(len(self.channels))]:
            raise ValueError(f"attention levels must be between 0 and {len(self.channels) - 1}, got {bad}")

    def check_widths(self, groups: int, divisor: int | None, setting: str) -> None:
        """ValueError if `groups` does not divide every width, or `divisor` every width with attention."""
        if bad := [c for c in self.channels if c % groups]:
            raise ValueError(f"channel widths must be multiples of {groups} (GroupNorm has {groups} groups), got {bad}")
        attending = [*(self.channels[i] for i in self.attention_levels), self.channels[-1]]
        if divisor and (bad := [c for c in attending if c % divisor]):
            raise ValueError(f"widths with attention must be multiples of {setting} {divisor}, got {bad}")

    @property
    def dim(self) -> int:
        """D, the width of time and class embeddings."""
        raise NotImplementedError

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return self.image_channels, self.image_size, self.image_size


class ConditionalNetwork(nn.Module):
    """Predicts eps (or v, or x0) from a noisy image, its timestep and its class.

    `model(x, t, y)`: x (B, C, H, W), t (B,), y (B,) in 0 ... K, K being the null class -> (B, C, H, W).
    Without y, the null class is used. `forward_with_cond(x, t, class_emb)` takes embeddings (B, D) instead.
    """

    class_table: nn.Embedding | None
    at_input: nn.Module | None

    def __init__(self, config: NetworkConfig, conditioning: Conditioning):
        super().__init__()
        self.config, self.conditioning = config, conditioning

    def make_class_table(self) -> nn.Embedding | None:
        """One row per class, and a last row for the null class; an unconditional network has no table."""
        if not (k := self.config.num_classes):
            return None
        table = nn.Embedding(k + 1, self.config.dim)
        table.weight.data *= self.config.class_scale
        return table

    def make_input_conditioner(self) -> nn.Module | None:
        """The module that adds the class before the first block, at the first width; None if a design has none."""
        make = self.conditioning.at_input
        return make(self.config.channels[0], self.config.dim) if make else None

    @property
    def null_class(self) -> int:
        """The label that stands for no class: the table's last row."""
        return self.config.num_classes

    @property
    def null_cond(self) -> Tensor:
        """The null class as a condition (1,), on the network's device: used by guidance and label dropout."""
        return torch.tensor([self.null_class], device=next(self.parameters()).device)

    def embed_class(self, y: Tensor) -> Tensor:
        """Labels (B,) -> class embeddings (B, D); all zeros if the network is unconditional."""
        if self.class_table is None:
            return next(self.parameters()).new_zeros(len(y), self.config.dim)
        return self.class_table(y)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        if y is None:
            y = torch.full((len(x),), self.null_class, device=x.device)
        return self.forward_with_cond(x, t, self.embed_class(y))

    @abstractmethod
    def forward_with_cond(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        """Like forward, but with class embeddings (B, D) for labels, so points between two classes work too."""
