"""The configurable U-Net: the architecture of diffusers' `UNet2DModel` (Ho et al. 2020, appendix B) with any condition.
The time embedding is added inside every residual block. A condition can enter in three ways: `prepare_conditioning`
mixes the class embedding into the time embedding; a `conditioner` follows each down, mid and up block (nine for four
levels); and cross-attention to a context (B, S, context_dim), such as a text, follows every self-attention."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.attention import PixelCrossAttention, SelfAttention
from ddpm_core.layers import ResBlock, UNetBlockWithCrossAttention, sinusoidal_embedding
from ddpm_core.network import ConditionalNetwork, Conditioning, NetworkConfig
from ddpm_core.registry import register


@dataclass(frozen=True)
class UNet2DConfig(NetworkConfig):
    """Shape of a `UNet2D`, with the settings of diffusers' `UNet2DModel`."""

    architecture: ClassVar[str] = "unet2d"

    groups: int = 32  # groups in each group norm, as in DDPM
    eps: float = 1e-5  # of the group norms; DDPM's published weights need 1e-6
    head_dim: int | None = 32  # divides every width that 32 groups allow; 8 (diffusers' own) costs more; None: one head
    context_dim: int | None = None  # width of the context's tokens; adds cross-attention wherever there is attention
    freq_shift: int = 0  # with 1 the lowest frequency is exactly 1/10000, as in DDPM's original code
    flip_sin_to_cos: bool = True  # cosines before sines
    downsample_padding: int = 1  # 0 pads only on the right and at the bottom, as in DDPM's original code
    null_row: bool = True  # False: the class table has no row for the null class, so guidance is impossible

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_widths(self.groups, self.head_dim, "head_dim")

    @property
    def dim(self) -> int:
        return 4 * self.channels[0]

    def heads(self, channels: int) -> int:
        """The number of attention heads at this width."""
        return channels // (self.head_dim or channels)


class Layer(nn.Module):
    """A residual block; at levels with attention, also self-attention and cross-attention to the context, if any."""

    def __init__(self, in_ch: int, level: int, config: UNet2DConfig):
        super().__init__()
        width = config.channels[level]
        heads, attends = config.heads(width), level in config.attention_levels
        self.res = ResBlock(in_ch, width, config.dim, config.groups, config.eps)
        self.attend = SelfAttention(width, heads, config.groups, config.eps) if attends else nn.Identity()
        self.cross = PixelCrossAttention(width, config.context_dim, heads) if attends and config.context_dim else None

    def forward(self, x: Tensor, emb: Tensor, context: Tensor | None, mask: Tensor | None) -> Tensor:
        h = self.attend(self.res(x, emb))  # (B, in_ch, H, W) -> (B, C, H, W)
        return h if self.cross is None or context is None else self.cross(h, context, mask)


class Downsample(nn.Conv2d):
    """A 3×3 convolution with stride 2: (B, C, H, W) -> (B, C, H/2, W/2)."""

    def __init__(self, channels: int, padding: int):
        super().__init__(channels, channels, 3, stride=2, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.padding[0] else F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Conv2d):
    """Nearest-neighbour upsampling, then a 3×3 convolution: (B, C, H, W) -> (B, C, 2H, 2W)."""

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class UNet2D(ConditionalNetwork):
    """UNet2DModel with any of conditioning.STRATEGIES; D = 4·channels[0]. See ConditionalNetwork for its use.
    `down`, `downsample`, `up` and `upsample` are in the order in which they run: `up` starts at the coarsest level."""

    def __init__(self, config: UNet2DConfig, conditioning: Conditioning):
        super().__init__(config, conditioning)
        widths, dim, n = config.channels, config.dim, config.blocks_per_level
        last = len(widths) - 1
        self.time_mlp = nn.Sequential(nn.Linear(widths[0], dim), nn.SiLU(), nn.Linear(dim, dim))
        self.conv_in = nn.Conv2d(config.image_channels, widths[0], 3, padding=1)
        skips, ch = [widths[0]], widths[0]  # widths of the skip connections, and the current width
        self.down, self.downsample = nn.ModuleList(), nn.ModuleList()
        for i, width in enumerate(widths):
            self.down.append(nn.ModuleList(Layer(ch if j == 0 else width, i, config) for j in range(n)))
            self.downsample.append(Downsample(width, config.downsample_padding) if i < last else nn.Identity())
            skips += [width] * (n + (i < last))
            ch = width
        shape = config.context_dim, config.heads(ch), config.groups, config.eps
        self.mid = UNetBlockWithCrossAttention(ch, dim, *shape)
        self.up, self.upsample = nn.ModuleList(), nn.ModuleList()
        for i in reversed(range(len(widths))):
            layers = nn.ModuleList()
            for _ in range(n + 1):  # one more than in the down path: the level's input is a skip too
                layers.append(Layer(ch + skips.pop(), i, config))
                ch = widths[i]
            self.up.append(layers)
            self.upsample.append(Upsample(ch) if i > 0 else nn.Identity())
        self.norm_out = nn.GroupNorm(config.groups, ch, config.eps)
        self.conv_out = nn.Conv2d(ch, config.image_channels, 3, padding=1)
        self.class_table = self.make_class_table()
        # Created last, so that the trunk's initial weights depend only on the seed, whatever a design draws.
        places = [*widths, widths[-1], *reversed(widths)]  # down, mid and up
        self.conditioners = nn.ModuleList(conditioning.conditioner(c, dim) for c in places)
        self.at_input = self.make_input_conditioner()

    def make_class_table(self) -> nn.Embedding | None:
        table = super().make_class_table()
        if table is None or self.config.null_row:
            return table
        return nn.Embedding.from_pretrained(table.weight[:-1].detach().clone(), freeze=False)

    @property
    def null_class(self) -> int | None:
        """The label that means no class; None if the class table has no row for it."""
        return super().null_class if self.config.null_row or not self.config.num_classes else None

    @property
    def null_cond(self) -> Tensor | None:
        """The empty condition, (1,); None if there is none."""
        return None if self.null_class is None else super().null_cond

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        if y is None and self.null_class is None:
            raise ValueError("this network has no null class; give it a label for each image")
        return super().forward(x, t, y)

    def forward_with_cond(
        self, x: Tensor, t: Tensor, class_emb: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """As forward, with embeddings (B, D) instead of labels, and tokens (B, S, context_dim) to attend to. mask (B,
        S) bool is True where a token may be attended to; without a context, cross-attention is skipped."""
        config, conditioners = self.config, iter(self.conditioners)
        order = {"freq_shift": config.freq_shift, "cos_first": config.flip_sin_to_cos}
        sines = sinusoidal_embedding(t, config.channels[0], **order)  # (B,) -> (B, c0)
        time_emb = self.time_mlp(sines.to(self.conv_in.weight.dtype))  # (B, c0) -> (B, D)
        emb = self.conditioning.prepare_conditioning(time_emb, class_emb)  # (B, D)

        h = self.conv_in(x)  # (B, C, H, W) -> (B, c0, H, W)
        if self.at_input is not None:
            h = self.at_input(h, class_emb)
        skips = [h]
        for layers, halve in zip(self.down, self.downsample):
            for layer in layers:
                h = layer(h, emb, context, mask)  # (B, ci, H/2^i, W/2^i)
                skips.append(h)
            if not isinstance(halve, nn.Identity):
                h = halve(h)  # (B, ci, H/2^(i+1), W/2^(i+1))
                skips.append(h)
            h = next(conditioners)(h, class_emb)
        h = next(conditioners)(self.mid(h, emb, context, mask), class_emb)
        for layers, double in zip(self.up, self.upsample):
            for layer in layers:
                h = layer(torch.cat([h, skips.pop()], dim=1), emb, context, mask)  # (B, ci, H/2^i, W/2^i)
            h = next(conditioners)(double(h), class_emb)  # (B, ci, H/2^(i-1), W/2^(i-1))
        return self.conv_out(F.silu(self.norm_out(h)))  # (B, C, H, W)


register("architecture", "unet2d", (UNet2DConfig, UNet2D))  # so that configs and checkpoints can name it
