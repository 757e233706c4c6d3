"""What every U-Net here has in common: its config, the pair that conditions it, and how it is called."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

ARCHITECTURES = ("v2", "unet2d")
V2_ONLY = ("num_heads", "cond_dim")
UNET2D_ONLY = ("groups", "eps", "head_dim", "context_dim", "freq_shift", "flip_sin_to_cos", "downsample_padding")


@dataclass(frozen=True)
class Conditioning:
    """The pair that says how the class enters the network, and rarely a third part."""

    prepare_conditioning: Callable[[Tensor, Tensor], Tensor]  # (B, D), (B, D) -> (B, D)
    conditioner: Callable[[int, int], nn.Module]  # (channels, cond_dim) -> module (h, class_emb) -> h
    at_input: Callable[[int, int], nn.Module] | None = None  # likewise, applied once, after the first convolution


@dataclass(frozen=True)
class UNetConfig:
    """The network's shape. The defaults are ConditionalUNetV2 for 32×32 colour images.

    ValueError where the sizes do not fit each other, or where a setting belongs to the other architecture.
    """

    image_channels: int = 3
    image_size: int = 32
    num_classes: int = 10  # 0: unconditional
    channels: tuple[int, ...] = (128, 256, 256)  # one width a level; each level halves the map: 32 -> 16 -> 8
    blocks_per_level: int = 2
    attention_levels: tuple[int, ...] = ()  # self-attention at these levels, 0 the finest; the middle always has it
    num_heads: int = 4  # v2
    cond_dim: int | None = None  # v2: D, the width of the embeddings, 256 unless given; unet2d has 4·channels[0]
    architecture: str = "v2"  # "v2": our own; "unet2d": that of diffusers' UNet2DModel, whose weights it reads
    # What follows is unet2d's alone.
    groups: int = 32  # of its group norms, as in DDPM
    eps: float = 1e-5  # of its group norms; DDPM's published weights want 1e-6
    head_dim: int | None = 32  # divides every width that 32 groups allow; 8 (diffusers' own) costs more; None: one head
    context_dim: int | None = None  # width of the context's tokens: adds cross-attention wherever there is attention
    freq_shift: int = 0  # 1 reaches exactly 1/10000 with the lowest frequency, as DDPM's first code did
    flip_sin_to_cos: bool = True  # cosines before sines
    downsample_padding: int = 1  # 0 pads on the right and below alone, as DDPM's first code did

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"unknown architecture '{self.architecture}'; known: {', '.join(ARCHITECTURES)}")
        default = {f.name: f.default for f in fields(self)}
        foreign = UNET2D_ONLY if self.architecture == "v2" else V2_ONLY
        if wrong := [k for k in foreign if getattr(self, k) != default[k]]:
            raise ValueError(f"architecture {self.architecture} has no setting {', '.join(wrong)}; leave it out")
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
        groups = 8 if self.architecture == "v2" else self.groups
        if bad := [c for c in self.channels if c % groups]:
            raise ValueError(f"channel widths must be multiples of {groups} (GroupNorm has {groups} groups), got {bad}")
        if bad := [i for i in self.attention_levels if i not in range(len(self.channels))]:
            raise ValueError(f"attention levels must be between 0 and {len(self.channels) - 1}, got {bad}")
        attending = [*(self.channels[i] for i in self.attention_levels), self.channels[-1]]
        if self.architecture == "v2" and (bad := [c for c in attending if c % self.num_heads]):
            raise ValueError(f"widths with attention must be multiples of num_heads {self.num_heads}, got {bad}")
        if self.head_dim and self.architecture == "unet2d" and (bad := [c for c in attending if c % self.head_dim]):
            raise ValueError(f"widths with attention must be multiples of head_dim {self.head_dim}, got {bad}")

    @property
    def dim(self) -> int:
        """D, the width of time and class embeddings."""
        return 4 * self.channels[0] if self.architecture == "unet2d" else self.cond_dim or 256

    def heads(self, channels: int) -> int:
        """How many heads attention has at this width."""
        return self.num_heads if self.architecture == "v2" else channels // (self.head_dim or channels)


class ConditionalNetwork(nn.Module):
    """Predicts eps (or v, or x0) from a noisy image, its timestep and its class.

    `model(x, t, y)`: x (B, C, H, W), t (B,), y (B,) in 0 ... K, K being the null class -> (B, C, H, W).
    No labels means the null class. `forward_with_cond(x, t, class_emb)` takes embeddings (B, D) instead.
    """

    class_table: nn.Embedding | None
    at_input: nn.Module | None

    def __init__(self, config: UNetConfig, conditioning: Conditioning):
        super().__init__()
        self.config, self.conditioning = config, conditioning

    def make_class_table(self) -> nn.Embedding | None:
        """One row a class, the last row for the null class; an unconditional network has none."""
        k = self.config.num_classes
        return nn.Embedding(k + 1, self.config.dim) if k else None

    def make_input_conditioner(self) -> nn.Module | None:
        """What meets the class before the first block, at the first width; None where a design has nothing there."""
        make = self.conditioning.at_input
        return make(self.config.channels[0], self.config.dim) if make else None

    @property
    def null_class(self) -> int:
        """The label that stands for no class: the table's last row."""
        return self.config.num_classes

    @property
    def null_cond(self) -> Tensor:
        """The condition that says nothing, (1,), on the network's device: what guidance and label dropout put in."""
        return torch.tensor([self.null_class], device=next(self.parameters()).device)

    def embed_class(self, y: Tensor) -> Tensor:
        """Labels (B,) -> class embeddings (B, D); zeros, whatever the label, where the network is unconditional."""
        if self.class_table is None:
            return next(self.parameters()).new_zeros(len(y), self.config.dim)
        return self.class_table(y)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        if y is None:
            y = torch.full((len(x),), self.null_class, device=x.device)
        return self.forward_with_cond(x, t, self.embed_class(y))

    @abstractmethod
    def forward_with_cond(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        """As forward, with embeddings (B, D) in place of labels: any point between two classes will do."""
