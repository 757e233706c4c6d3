"""Conversion of config and weights between diffusers' `UNet2DModel` and our `UNet2D`. What one side cannot express is
refused with a sentence that names it."""

from typing import Any

import torch
from torch import Tensor

from ddpm_tools.unet2d import UNet2DConfig

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
FIXED = {  # settings that are fixed in our network
    "center_input_sample": (False,), "add_attention": (True,), "act_fn": ("silu", "swish"),
    "time_embedding_type": ("positional",), "resnet_time_scale_shift": ("default",),
    "mid_block_type": ("UNetMidBlock2D",), "mid_block_scale_factor": (1,),
    "downsample_type": ("conv",), "upsample_type": ("conv",),
    "attn_norm_num_groups": (None,), "class_embed_type": (None,), "num_train_timesteps": (None,),
}  # fmt: skip
# What an EMA adds to the config, and what matters only in training
NO_PART = {
    "decay", "min_decay", "optimization_step", "update_after_step", "use_ema_warmup", "inv_gamma", "power",
    "collected_params", "dropout",
}  # fmt: skip
SAME_IN_RESIDUAL = ("norm1", "conv1", "norm2", "conv2")
DOWN, UP = ("DownBlock2D", "AttnDownBlock2D"), ("UpBlock2D", "AttnUpBlock2D")  # without and with attention
OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # in older published checkpoints


class DiffusersError(ValueError):
    """A model that cannot be converted, or a folder that cannot be read; the message names the part and the remedy."""


def block_types(config: UNet2DConfig) -> tuple[list[str], list[str]]:
    """The names of the down blocks, finest level first, and of the up blocks, coarsest level first."""
    attends = [i in config.attention_levels for i in range(len(config.channels))]
    return [DOWN[a] for a in attends], [UP[a] for a in reversed(attends)]


def to_diffusers_config(config: UNet2DConfig, conditional: bool = True) -> dict[str, Any]:
    """UNet2DModel's arguments for a network whose class embedding, if any, is added to the time embedding."""
    down, up = block_types(config)
    classes = config.num_classes + config.null_row if conditional and config.num_classes else None
    args = {theirs: getattr(config, ours) for theirs, (ours, _) in FIELDS.items()}
    more = {"out_channels": config.image_channels, "num_class_embeds": classes}
    return args | more | {"down_block_types": down, "up_block_types": up}


def from_diffusers_config(theirs: dict[str, Any], null_row: bool = False) -> UNet2DConfig:
    """Our config for a UNet2DModel's; DiffusersError names a value that our network does not support. `null_row` says
    that the last row of its class table is the null class; else every row is a class."""
    if (kind := theirs.get("_class_name")) != "UNet2DModel":
        what = f"the folder holds a {kind}" if kind else "the network's config.json names no _class_name"
        raise DiffusersError(f"{what}; only a UNet2DModel can be read")
    given = {k: v for k, v in theirs.items() if not k.startswith("_") and k not in NO_PART}
    ours = {name: _numbers(key, given.pop(key, default)) for key, (name, default) in FIELDS.items()}
    channels, first = ours["image_channels"], ours["channels"][0]
    rows = given.pop("num_class_embeds", None)
    down = given.pop("down_block_types", [DOWN[0], DOWN[1], DOWN[1], DOWN[1]])
    up = given.pop("up_block_types", [UP[1], UP[1], UP[1], UP[0]])
    known = FIXED | {"out_channels": (channels,), "time_embedding_dim": (None, 4 * first)}
    for key, value in ({"out_channels": 3} | given).items():
        if value not in known.get(key, ()):
            only = f"; only {' or '.join(map(repr, known[key]))} is known here" if key in known else " is unknown here"
            raise DiffusersError(f"the network's {key} = {value!r}{only}")
    if rows is not None and _numbers("num_class_embeds", rows) < 1 + null_row:
        beside = " beside the null class" if null_row else ""
        raise DiffusersError(f"the network's num_class_embeds = {rows} leaves no class{beside}")
    levels = tuple(i for i, block in enumerate(down) if block == DOWN[1])
    classes = rows - null_row if rows else 0
    config = UNet2DConfig(**ours, num_classes=classes, attention_levels=levels, null_row=null_row or not classes)
    if (list(down), list(up)) != block_types(config):
        blocks = ", ".join([*down, *up])
        raise DiffusersError(f"the blocks {blocks} are unknown here; only {DOWN} and {UP} are known, and mirrored")
    return config


def _numbers(key: str, value: Any) -> Any:
    """The value, lists as tuples; DiffusersError if it has the wrong type: most must be whole numbers."""
    if key == "sample_size" and isinstance(value, list) and len(set(value)) == 1:
        value = value[0]  # [32, 32]
    listed = key == "block_out_channels"
    kinds = {"norm_eps": (float, int), "attention_head_dim": (int, type(None))}.get(key, int)
    right = isinstance(value, (list, tuple)) == listed
    if not right or not all(isinstance(v, kinds) for v in (value if listed else [value])):
        raise DiffusersError(f"the network's {key} = {value!r} has the wrong type; see its config.json")
    return tuple(value) if listed else value


def module_names(config: UNet2DConfig) -> dict[str, tuple[str, ...]]:
    """Our modules -> theirs. Several of theirs can be one of ours: their outputs are concatenated."""
    n, last = config.blocks_per_level, len(config.channels) - 1
    names = {
        "time_mlp.0": ("time_embedding.linear_1",), "time_mlp.2": ("time_embedding.linear_2",),
        "class_table": ("class_embedding",), "conv_in": ("conv_in",),
        "norm_out": ("conv_norm_out",), "conv_out": ("conv_out",),
    }  # fmt: skip

    def residual(ours: str, theirs: str) -> None:
        pairs = {"time": "time_emb_proj", "skip": "conv_shortcut", **{k: k for k in SAME_IN_RESIDUAL}}
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
        names[f"downsample.{i}"] = (f"down_blocks.{i}.downsamplers.0.conv",)
        names[f"upsample.{i}"] = (f"up_blocks.{i}.upsamplers.0.conv",)
    residual("mid.res1", "mid_block.resnets.0")
    attention("mid.attend", "mid_block.attentions.0")
    residual("mid.res2", "mid_block.resnets.1")
    return names


def to_diffusers_weights(state: dict[str, Tensor], config: UNet2DConfig) -> dict[str, Tensor]:
    """A UNet2D's state dict under diffusers' names; DiffusersError if a module has no counterpart there."""
    names, out = module_names(config), {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if module not in names:
            raise DiffusersError(f"diffusers' UNet2DModel has no counterpart of our {module}; it cannot be exported")
        parts = value.chunk(len(names[module]))
        out |= {f"{theirs}.{leaf}": part.clone() for theirs, part in zip(names[module], parts)}
    return out


def from_diffusers_weights(state: dict[str, Tensor], config: UNet2DConfig) -> dict[str, Tensor]:
    """A UNet2DModel's state dict under our names; DiffusersError names tensors without a counterpart here."""
    left = {_modern(k): v for k, v in state.items()}
    out = {}
    for ours, theirs in module_names(config).items():
        for leaf in ("weight", "bias"):
            keys = [f"{name}.{leaf}" for name in theirs]
            if all(k in left for k in keys):
                out[f"{ours}.{leaf}"] = torch.cat([left.pop(k) for k in keys])
    if left:
        raise DiffusersError(f"the weights contain {min(left)}, which a UNet2DModel with this config does not have")
    return out


def _modern(key: str) -> str:
    """Names of attention layers from before diffusers 0.14 -> current names."""
    head, _, leaf = key.rpartition(".")
    start, _, name = head.rpartition(".")
    return f"{start}.{OLD_NAMES[name]}.{leaf}" if name in OLD_NAMES else key
