"""diffusers' `UNet2DModel` and our `UNet2D`: the config and the weights of one in terms of the other.

What one side cannot express is refused with a sentence that names it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ddpm_core.network import UNetConfig

FIELDS = {  # theirs: (ours, their default)
    "in_channels": ("image_channels", 3),
    "sample_size": ("image_size", None),
    "block_out_channels": ("channels", (224, 448, 672, 896)),
    "layers_per_block": ("blocks_per_level", 2),
    "norm_num_groups": ("groups", 32),
    "norm_eps": ("eps", 1e-5),
    "attention_head_dim": ("head_dim", 8),
    "freq_shift": ("freq_shift", 0),
    "flip_sin_to_cos": ("flip_sin_to_cos", True),
    "downsample_padding": ("downsample_padding", 1),
}
FIXED = {  # what our network has no other choice for
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1,),
    "downsample_type": ("conv",),
    "upsample_type": ("conv",),
    "dropout": (0,),
    "act_fn": ("silu", "swish"),
    "attn_norm_num_groups": (None,),
    "resnet_time_scale_shift": ("default",),
    "add_attention": (True,),
    "class_embed_type": (None,),
    "num_train_timesteps": (None,),
}
DOWN, UP = ("DownBlock2D", "AttnDownBlock2D"), ("UpBlock2D", "AttnUpBlock2D")  # without and with attention
OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # of published checkpoints


class DiffusersError(ValueError):
    """What cannot be exchanged, or a folder that cannot be read; the message names the part and the remedy."""


def block_types(config: UNetConfig) -> tuple[list[str], list[str]]:
    """The names of the down blocks, finest level first, and of the up blocks, coarsest level first."""
    attends = [i in config.attention_levels for i in range(len(config.channels))]
    return [DOWN[a] for a in attends], [UP[a] for a in reversed(attends)]


def to_diffusers_config(config: UNetConfig, conditional: bool = True) -> dict[str, Any]:
    """UNet2DModel's arguments for a network whose class, if any, is added to the time."""
    down, up = block_types(config)
    classes = config.num_classes + 1 if conditional and config.num_classes else None  # the null class has a row
    args = {theirs: getattr(config, ours) for theirs, (ours, _) in FIELDS.items()}
    return args | {
        "out_channels": config.image_channels,
        "down_block_types": down,
        "up_block_types": up,
        "num_class_embeds": classes,
    }


def from_diffusers_config(theirs: dict[str, Any]) -> UNetConfig:
    """Our config for a UNet2DModel's; DiffusersError names a value that our network cannot have.

    The last row of a class table is taken for the null class, as we write it.
    """
    given = {k: v for k, v in theirs.items() if not k.startswith("_")}
    if theirs.get("_class_name") != "UNet2DModel":
        raise DiffusersError(f"the folder holds a {theirs.get('_class_name')}; only a UNet2DModel can be read")
    ours = {name: given.pop(key, default) for key, (name, default) in FIELDS.items()}
    ours["channels"] = widths = tuple(ours["channels"])
    if isinstance(size := ours["image_size"], list) and len(set(size)) == 1:
        ours["image_size"] = size[0]
    rows, out = given.pop("num_class_embeds", None), given.pop("out_channels", 3)
    down, up = (
        given.pop("down_block_types", [DOWN[0]] + [DOWN[1]] * 3),
        given.pop("up_block_types", [UP[1]] * 3 + [UP[0]]),
    )
    if given.pop("time_embedding_dim", None) not in (None, 4 * widths[0]):
        raise DiffusersError(
            f"time_embedding_dim other than {4 * widths[0]}, four times the first width, is unknown here"
        )
    for key, value in given.items():
        if value not in FIXED.get(key, ()):
            known = f"; only {' or '.join(map(repr, FIXED[key]))} is known here" if key in FIXED else " is unknown here"
            raise DiffusersError(f"the network's {key} = {value!r}{known}")
    if out != ours["image_channels"]:
        raise DiffusersError(f"a network from {ours['image_channels']} to {out} channels is unknown here")
    if not isinstance(ours["image_size"], int):
        raise DiffusersError(f"the network's sample_size must be one number, got {size}")
    if rows is not None and rows < 2:
        raise DiffusersError(f"num_class_embeds must leave a class beside the null class, got {rows}")
    levels = tuple(i for i, kind in enumerate(down) if kind == DOWN[1])
    config = UNetConfig(
        **ours, num_classes=rows - 1 if rows else 0, attention_levels=levels, architecture="unet2d"
    )  # fmt: skip
    if (list(down), list(up)) != block_types(config):
        raise DiffusersError(f"blocks {', '.join([*down, *up])} are unknown here; both ways need the same of {DOWN}")
    return config


def module_names(config: UNetConfig) -> dict[str, tuple[str, ...]]:
    """Our modules and theirs. Several of theirs are one of ours: their outputs, concatenated."""
    n, last = config.blocks_per_level, len(config.channels) - 1
    names = {
        "time_mlp.0": ("time_embedding.linear_1",),
        "time_mlp.2": ("time_embedding.linear_2",),
        "class_table": ("class_embedding",),
        "conv_in": ("conv_in",),
        "norm_out": ("conv_norm_out",),
        "conv_out": ("conv_out",),
    }

    def residual(ours: str, theirs: str) -> None:
        pairs = {"time": "time_emb_proj", "skip": "conv_shortcut"} | {
            k: k for k in ("norm1", "conv1", "norm2", "conv2")
        }
        names.update({f"{ours}.{a}": (f"{theirs}.{b}",) for a, b in pairs.items()})

    def attention(ours: str, theirs: str) -> None:
        names[f"{ours}.norm"] = (f"{theirs}.group_norm",)
        names[f"{ours}.qkv"] = tuple(f"{theirs}.to_{x}" for x in "qkv")
        names[f"{ours}.out"] = (f"{theirs}.to_out.0",)

    def block(ours: str, theirs: str, layers: int) -> None:
        for j in range(layers):
            residual(f"{ours}.{j}.res", f"{theirs}.resnets.{j}")
            attention(f"{ours}.{j}.attend", f"{theirs}.attentions.{j}")

    for i in range(last + 1):
        block(f"down.{i}", f"down_blocks.{i}", n)
        block(f"up.{i}", f"up_blocks.{i}", n + 1)
        names[f"shrink.{i}"] = (f"down_blocks.{i}.downsamplers.0.conv",)
        names[f"grow.{i}"] = (f"up_blocks.{i}.upsamplers.0.conv",)
    residual("mid.res1", "mid_block.resnets.0")
    attention("mid.attend", "mid_block.attentions.0")
    residual("mid.res2", "mid_block.resnets.1")
    return names


def to_diffusers_weights(state: dict[str, Tensor], config: UNetConfig) -> dict[str, Tensor]:
    """A UNet2D's state dict under diffusers' names; DiffusersError where a module has no counterpart there."""
    names, out = module_names(config), {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if module not in names:
            raise DiffusersError(f"diffusers' UNet2DModel has no counterpart of our {module}; it cannot be exported")
        parts = value.chunk(len(names[module]))
        out |= {f"{theirs}.{leaf}": part.clone() for theirs, part in zip(names[module], parts)}
    return out


def from_diffusers_weights(state: dict[str, Tensor], config: UNetConfig) -> dict[str, Tensor]:
    """A UNet2DModel's state dict under our names; DiffusersError names tensors without a counterpart here."""
    left = {_modern(k): v for k, v in state.items()}
    out = {}
    for ours, theirs in module_names(config).items():
        for leaf in ("weight", "bias"):
            keys = [f"{name}.{leaf}" for name in theirs]
            if all(k in left for k in keys):
                out[f"{ours}.{leaf}"] = torch.cat([left.pop(k) for k in keys])
    if left:
        raise DiffusersError(f"the weights hold {min(left)}, which a UNet2DModel of their config does not have")
    return out


def _modern(key: str) -> str:
    """Names of attention layers from before diffusers 0.14 -> today's."""
    head, _, leaf = key.rpartition(".")
    start, _, name = head.rpartition(".")
    return f"{start}.{OLD_NAMES[name]}.{leaf}" if name in OLD_NAMES else key
