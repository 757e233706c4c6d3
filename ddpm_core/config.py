"""Presets: one name chooses data, network and training. Configs are frozen, and unknown keys raise."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from ddpm_core.training import TrainConfig
from ddpm_core.unet import UNetConfig

DATA_DIR = Path(__file__).resolve().parents[1] / "data"  # what ships: checkpoints, classifiers, reference bands
T = TypeVar("T")


@dataclass(frozen=True)
class Preset:
    """Everything that makes a run: the config that a checkpoint carries."""

    data: str = "digits"  # a name that load_data knows, or the path of a folder or zip
    conditioning: str = "add"  # a name in conditioning.STRATEGIES
    schedule: str = "cosine"
    parameterization: str = "epsilon"
    unet: UNetConfig = field(default_factory=UNetConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    split: str = "train"  # "all" where the data hold nothing but training images


# What the published protocol of the challenge tracks leaves open, and what we assume: never to be called exact.
ASSUMPTIONS = (
    "linear betas, 1e-4 to 0.02",
    "no label dropout, and w = 1 in sampling",
    "the batch size is that of all GPUs together",
    "a linear warm-up of 1,000 steps, then cosine decay of the learning rate to zero",
    "weight decay 1e-4, gradients clipped to a norm of 1",
    "no flips; clamped x0 in sampling; attention with heads of 32 channels",
    "an EMA that warms up: decay min(0.9995, (1 + k) / (10 + k)) at update k",
)


def published(*channels: int, batch_size: int = 128, **train: Any) -> Preset:
    """The tracks' protocol at one scale: what it states (see the spec of the tracks), and ASSUMPTIONS besides."""
    return Preset(
        data="cifar10",
        conditioning="concat-film",  # the first baseline; --conditioner names the others
        schedule="linear",
        unet=UNetConfig(channels=channels, attention_levels=(1,), architecture="unet2d"),  # 16×16 of 32×32: standard
        train=TrainConfig(
            **{"steps": 35_000, "batch_size": batch_size, "lr": 2e-4, "ema_decay": 0.9995},
            **{"p_uncond": 0.0, "preview_every": 5_000, **train},
        ),
    )


PRESETS = {
    "digits": Preset(
        unet=UNetConfig(image_channels=1, image_size=8, channels=(32, 64), cond_dim=128),
        # 600 steps of 128 are 53 epochs and about a minute on two cores; short runs like a high rate and a quick EMA
        train=TrainConfig(steps=600, lr=2e-3, warmup=50, ema_decay=0.995, preview_every=200),
    ),
    "digits-unet2d": Preset(  # what `ddpm export-diffusers` can write
        unet=UNetConfig(1, 8, 10, (32, 64), attention_levels=(1,), architecture="unet2d", groups=8),
        train=TrainConfig(steps=600, lr=2e-3, warmup=50, ema_decay=0.995, preview_every=200),
    ),
    "fashion-mnist": Preset(
        data="fashion-mnist",
        unet=UNetConfig(image_channels=1, image_size=28, channels=(64, 128, 128)),
        train=TrainConfig(steps=9380, lr=4e-4, ema_decay=0.999, preview_every=1876),  # 20 epochs of 469 batches
    ),
    "cifar10": Preset(data="cifar10", train=TrainConfig(flip=True)),
    "cifar10-cpu": Preset(  # what one core of a laptop trains in about an hour: pictures to look at, no result
        data="cifar10",
        parameterization="v",  # colours are decided at high noise, where a prediction of eps says nothing of the image
        unet=UNetConfig(channels=(24, 48, 96, 128), blocks_per_level=1, attention_levels=(2,), cond_dim=128),
        # 3.2 epochs; so short a run likes many small steps, a high rate and a quick EMA
        train=TrainConfig(5000, batch_size=32, lr=1e-3, warmup=200, ema_decay=0.998, flip=True, preview_every=500),
    ),
    "cifar10-small": published(64, 128, 128, 128),  # 8.95 M parameters without classes
    "cifar10-medium": published(128, 256, 256, 256),
    "cifar10-large": published(256, 512, 512, 512, batch_size=64),
    # Not the protocol's: with dropped labels, which guidance needs.
    "cifar10-small-guided": published(64, 128, 128, 128, p_uncond=0.15),
    # The open track: steps, batch and scale of the protocol, all else as we think best (not yet measured)
    "cifar10-small-open": Preset(
        data="cifar10",
        conditioning="film-4-tokens",
        parameterization="v",  # informative at every noise level, see lesson 5.1
        unet=UNetConfig(channels=(64, 128, 128, 128), attention_levels=(1, 2), architecture="unet2d"),
        train=TrainConfig(35_000, lr=4e-4, ema_decay=0.9995, flip=True, preview_every=5_000),
    ),
}


def preset(name: str) -> Preset:
    """A preset by name; ValueError lists the known ones."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset '{name}'; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain JSON values."""
    return {k: list(v) if isinstance(v, tuple) else to_dict(v) if is_dataclass(v) else v for k, v in _items(config)}


def _items(config: Any) -> list[tuple[str, Any]]:
    return [(f.name, getattr(config, f.name)) for f in fields(config)]


KINDS = {int: (int,), float: (float, int), str: (str,), bool: (bool,), tuple: (tuple, list)}  # and what JSON has for it


def from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """A config from plain JSON values; ValueError names unknown keys and values of a wrong kind."""
    if not isinstance(values, dict):
        raise ValueError(f"{cls.__name__} must be an object, got {type(values).__name__}")
    hints = get_type_hints(cls)
    if unknown := sorted(set(values) - set(hints)):
        raise ValueError(f"unknown {cls.__name__} key(s) {', '.join(unknown)}; known: {', '.join(hints)}")
    for name, value in values.items():
        kinds = KINDS.get(get_origin(hints[name]) or hints[name])
        if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise ValueError(f"{cls.__name__}: {name} must be {kinds[0].__name__}, got {value!r}"[:200])
    converted = {
        k: from_dict(hints[k], v) if is_dataclass(hints[k]) else tuple(v) if isinstance(v, list) else v
        for k, v in values.items()
    }
    return cls(**converted)
