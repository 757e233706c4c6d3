"""Presets: one name selects data, network and training. Configs are frozen, and unknown keys are errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import torch
from torch import Tensor

from ddpm_core.diffusion import Diffusion
from ddpm_core.network import NetworkConfig
from ddpm_core.parameterization import PARAMETERIZATIONS
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainConfig
from ddpm_core.unet import ARCHITECTURES, UNetConfig

PACKAGES = Path(__file__).resolve().parents[1]  # the clone, or site-packages, where a wheel has its own data folder
COURSE = next(p for p in (PACKAGES / "conditional_diffusion_course", PACKAGES) if p.is_dir())
DATA_DIR = COURSE / "data"  # checkpoints, classifiers, reference bands
T = TypeVar("T")


@dataclass(frozen=True)
class Preset:
    """Everything that defines a run: the config stored in a checkpoint."""

    data: str = "digits"  # a data set of ddpm_tools.datasets, or the path of a folder or zip
    conditioning: str = "add"  # a name in conditioning.STRATEGIES
    schedule: str = "cosine"
    parameterization: str = "epsilon"
    unet: NetworkConfig | None = field(default_factory=UNetConfig)  # None: a network from outside the course
    train: TrainConfig = field(default_factory=TrainConfig)
    split: str = "train"  # "all" if every image is a training image
    loss: str = "mse"  # a name in ddpm_tools.train.objectives, like `times`
    times: str = "uniform"  # how training timesteps are drawn
    optimizer: str = "adamw"  # or muon, see ddpm_tools.train.optimizers
    timesteps: int = 1000  # T, the number of timesteps
    betas: tuple[float, ...] = ()  # (T,), in place of the schedule's; their number is T

    def make_schedule(self) -> DiffusionSchedule:
        """The noise schedule; ValueError for an unknown name or invalid betas."""
        if self.betas:
            return DiffusionSchedule.from_betas(torch.tensor(self.betas, dtype=torch.float64))
        return DiffusionSchedule.named(self.schedule, self.timesteps)

    def diffusion(self, network: Callable[..., Tensor]) -> Diffusion:
        """The network with this preset's schedule and parameterization; ValueError if either is unknown."""
        if self.parameterization not in PARAMETERIZATIONS:
            raise ValueError(
                f"unknown parameterization '{self.parameterization}'; known: {', '.join(PARAMETERIZATIONS)}"
            )
        return Diffusion(network, self.make_schedule(), PARAMETERIZATIONS[self.parameterization])


PRESETS = {
    "digits": Preset(
        unet=UNetConfig(image_channels=1, image_size=8, channels=(32, 64), cond_dim=128),
        # 600 steps of 128 are 53 epochs, about a minute on two cores. Short runs need a high lr and a fast EMA
        train=TrainConfig(steps=600, lr=2e-3, warmup=50, ema_decay=0.995, preview_every=200),
    ),
    "fashion-mnist": Preset(
        data="fashion-mnist",
        unet=UNetConfig(image_channels=1, image_size=28, channels=(64, 128, 128)),
        train=TrainConfig(steps=9380, lr=4e-4, ema_decay=0.999, preview_every=1876),  # 20 epochs of 469 batches
    ),
    "cifar10": Preset(data="cifar10", train=TrainConfig(flip=True)),
}


def preset(name: str) -> Preset:
    """A preset by name; ValueError for an unknown name."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset '{name}'; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain JSON values; a network's config also names its architecture."""
    plain = {f.name: _plain(getattr(config, f.name)) for f in fields(config)}
    return {"architecture": config.architecture, **plain} if isinstance(config, NetworkConfig) else plain


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else to_dict(value) if is_dataclass(value) else value


KINDS = {int: (int,), float: (float, int), str: (str,), bool: (bool,), tuple: (tuple, list)}  # accepted from JSON


def from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """A config from plain JSON values; ValueError names an unknown key or a value of the wrong type."""
    if not isinstance(values, dict):
        raise ValueError(f"{cls.__name__} must be an object, got {type(values).__name__}")
    if cls is NetworkConfig:
        values = dict(values)
        if (name := values.pop("architecture", None)) not in ARCHITECTURES:
            more = "" if "unet2d" in ARCHITECTURES else "; `import ddpm_tools.unet2d` adds diffusers'"
            raise ValueError(f"unknown architecture '{name}'; known: {', '.join(ARCHITECTURES)}{more}")
        cls = ARCHITECTURES[name][0]
    hints = {f.name: get_type_hints(cls)[f.name] for f in fields(cls)}
    if unknown := sorted(set(values) - set(hints)):
        raise ValueError(f"unknown {cls.__name__} key(s) {', '.join(unknown)}; known: {', '.join(hints)}")
    for name, value in values.items():
        kinds = KINDS.get(get_origin(hints[name]) or hints[name])
        if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise ValueError(f"{cls.__name__}: {name} must be {kinds[0].__name__}, got {value!r}"[:200])
    nested = {"unet": NetworkConfig, "train": TrainConfig} if cls is Preset else {}
    converted = {
        k: from_dict(nested[k], v) if k in nested and v is not None else tuple(v) if isinstance(v, list) else v
        for k, v in values.items()
    }
    return cls(**converted)
