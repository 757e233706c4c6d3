"""Checkpoints: weights with the config that rebuilds their network. A checkpoint loads as a `Diffusion`.

The format is that of `files.py`: `NAME.safetensors` beside `NAME.json`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset, from_dict, to_dict
from ddpm_core.diffusion import Diffusion
from ddpm_core.files import CheckpointError, digest, file_digest, read, stem, with_suffix, write, write_text
from ddpm_core.unet import build_unet

Build = Callable[[Preset], nn.Module]  # makes a config's network; its weights are loaded afterwards


def network_of(preset: Preset) -> nn.Module:
    """The network that a config describes. ValueError if the course does not define that network."""
    if preset.unet is None:
        raise ValueError(
            "the network is not one of the course's; give build=, a function that makes it from the preset"
        )
    return build_unet(preset.unet, strategy(preset.conditioning), preset.train.seed)


def check_rebuilds(network: nn.Module, preset: Preset, build: Build | None = None) -> None:
    """ValueError if the config (or `build`) makes a different network, which could not load these weights."""
    with torch.device("meta"):  # shapes without memory
        twin = (build or network_of)(preset)
    ours, theirs = ({k: tuple(v.shape) for k, v in n.state_dict().items()} for n in (network, twin))
    if odd := sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k)):
        raise ValueError(
            f"this network cannot be rebuilt from its config ({odd[0]} differs), so it would never load again; save it "
            f"with Preset(unet=None) and build=, a function from the preset to the network"
        )


def averaged_tensors(network: nn.Module, step: int, updates: int = 0) -> dict[str, Tensor]:
    """The tensors in every checkpoint: averaged weights, and the numbers of training steps and EMA updates."""
    return {f"ema.{k}": v for k, v in network.state_dict().items()} | {"step": torch.tensor([step, updates])}


def save_diffusion(
    path: Path | str, diffusion: Diffusion, preset: Preset, step: int = 0, build: Build | None = None, **about: Any
) -> Path:
    """Save one set of weights for sampling. ValueError if it could not be loaded again: see `check_rebuilds`."""
    check_rebuilds(diffusion.network, preset, build)
    return write(path, averaged_tensors(diffusion.network, step), to_dict(preset), **about)


@dataclass(frozen=True)
class Loaded:
    """A checkpoint loaded for sampling."""

    preset: Preset
    ema: nn.Module
    raw_or_none: nn.Module | None
    step: int
    record: dict[str, Any]

    @property
    def raw(self) -> nn.Module:
        """The network with raw weights; CheckpointError if the checkpoint was shrunk to the averaged ones."""
        if self.raw_or_none is None:
            raise CheckpointError("this checkpoint holds the averaged weights alone; ask for those, not for raw ones")
        return self.raw_or_none

    def diffusion(self, raw: bool = False) -> Diffusion:
        """Averaged (or raw) weights with the schedule and the parameterization they were trained with."""
        net = self.raw if raw else self.ema
        return self.preset.diffusion(net).to(next(net.parameters()).device)


def fill(module: nn.Module, tensors: dict[str, Tensor], prefix: str, path: Path | str) -> None:
    """Load the tensors with this prefix into a module; CheckpointError if they do not fit."""
    own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as e:
        raise CheckpointError(
            f"the weights of {path} do not fit its config: made by another version; train again"
        ) from e


def config_of(record: dict[str, Any], path: Path | str) -> Preset:
    """The preset in a checkpoint's record; CheckpointError if there is none, or if it uses an unknown name."""
    try:
        preset = from_dict(Preset, record["config"])
        preset.diffusion(nn.Identity())  # raises if its schedule or parameterization is unknown
        return preset
    except (ValueError, TypeError) as e:
        raise CheckpointError(f"{path} is not a checkpoint of a diffusion model: {e}") from e


def step_of(tensors: dict[str, Tensor], path: Path | str) -> int:
    """How many steps the weights were trained for."""
    if "step" not in tensors or tensors["step"].shape != (2,):
        raise CheckpointError(f"{path} does not say how many steps it was trained for: made by another program")
    return int(tensors["step"][0])


def load(path: Path | str, device: torch.device | str = "cpu", build: Build | None = None) -> Loaded:
    """EMA and raw networks in eval mode; `build` makes a network that the course does not define."""
    tensors, record = read(path, skip="optimizer.")
    preset, nets = config_of(record, path), []
    if build is None and preset.unet is None:
        raise CheckpointError(f"the network of {path} is not one of the course's; give build=, which makes it")
    for prefix in ("ema.", "model."):
        if prefix == "model." and not any(k.startswith(prefix) for k in tensors):
            nets.append(None)
            continue
        net = (build or network_of)(preset)
        fill(net, tensors, prefix, path)  # float16 becomes float32
        nets.append(net.eval().requires_grad_(False).to(device))
    return Loaded(preset, *nets, step_of(tensors, path), record)


def load_diffusion(path: Path | str, device: torch.device | str = "cpu", build: Build | None = None) -> Diffusion:
    """A checkpoint's averaged weights, with the schedule and parameterization they were trained with."""
    return load(path, device, build).diffusion()
