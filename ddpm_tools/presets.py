"""Every preset that the commands accept: the book's, and the published protocol of the challenge tracks."""

from typing import Any

from ddpm_core.config import PRESETS as BOOK
from ddpm_core.config import Preset
from ddpm_core.training import TrainConfig
from ddpm_core.unet import UNetConfig
from ddpm_tools.unet2d import UNet2DConfig

# Our assumptions where the published protocol of the challenge tracks is silent: never call these runs exact.
ASSUMPTIONS = (
    "linear betas, 1e-4 to 0.02",
    "no label dropout, and w = 1 in sampling",
    "the batch size is the total over all GPUs",
    "a linear warm-up of 1,000 steps, then cosine decay of the learning rate to zero",
    "weight decay 1e-4, gradients clipped to a norm of 1",
    "no flips; clamped x0 in sampling; attention with heads of 32 channels",
    "an EMA that warms up: decay min(0.9995, (1 + k) / (10 + k)) at update k",
)


def published(*channels: int, batch_size: int = 128, **train: Any) -> Preset:
    """The tracks' protocol at one scale: what it states, plus ASSUMPTIONS."""
    recipe = {"lr": 2e-4, "ema_decay": 0.9995, "p_uncond": 0.0, "preview_every": 5_000, **train}
    unet = UNet2DConfig(channels=channels, attention_levels=(1,))  # at 16×16 for 32×32 images: the standard
    # concat-film is the first baseline; choose another with --conditioner
    return Preset("cifar10", "concat-film", "linear", unet=unet, train=TrainConfig(35_000, batch_size, **recipe))


PRESETS = BOOK | {
    "digits-unet2d": Preset(  # what `ddpm export-diffusers` can write
        unet=UNet2DConfig(1, 8, 10, (32, 64), attention_levels=(1,), groups=8), train=BOOK["digits"].train
    ),
    "digits28": Preset(  # fifteen minutes on one core: small pictures that look good to people
        data="digits28",
        parameterization="v",
        unet=UNetConfig(1, 28, 10, (32, 64, 96), blocks_per_level=1, cond_dim=128, class_scale=0.1),  # 1.7 M parameters
        # 12 epochs
        train=TrainConfig(3000, 32, lr=1e-3, warmup=200, p_uncond=0.1, ema_decay=0.998, preview_every=500),
        loss="min-snr-5",
        times="stratified",
    ),
    "cifar10-cpu": Preset(  # two hours on two cores with bfloat16, 20 epochs; to go on, see docs/full_scale.md
        data="cifar10",
        conditioning="concat-film",
        parameterization="v",  # colours are decided at high noise, where predicting eps says nothing about the image
        loss="min-snr-5",  # the largest gain in distance at equal time of all options tried (docs/full_scale.md)
        times="stratified",
        optimizer="muon",  # learns more from each image than AdamW (benchmarks/optimizers.py)
        # 4.8 M parameters; widths are multiples of 16, which a CPU's vector units handle at once
        unet=UNetConfig(channels=(32, 64, 128, 128), blocks_per_level=1, attention_levels=(2,)),
        train=TrainConfig(
            14_000, batch_size=64, lr=2e-3, warmup=500, p_uncond=0.1, ema_decay=0.999, flip=True, preview_every=1_000
        ),
    ),
    "cifar10-speedrun": Preset(  # under five minutes on two cores with bfloat16 (docs/speedrun.md)
        data="cifar10",
        parameterization="v",
        loss="min-snr-5",
        times="stratified",
        optimizer="muon",
        unet=UNetConfig(channels=(32, 32, 64, 128), blocks_per_level=1, attention_levels=(2,)),  # 3.2 M parameters
        train=TrainConfig(
            1_020, batch_size=64, lr=2e-3, warmup=100, p_uncond=0.1, ema_decay=0.99, flip=True, preview_every=500
        ),
    ),
    "cifar10-small": published(64, 128, 128, 128),  # 8.95 M parameters without classes
    "cifar10-medium": published(128, 256, 256, 256),
    "cifar10-large": published(256, 512, 512, 512, batch_size=64),
    # Not in the protocol: label dropout, which guidance needs.
    "cifar10-small-guided": published(64, 128, 128, 128, p_uncond=0.15),
    # The open track: the protocol's steps, batch size and scale; everything else is our best guess (not yet measured)
    "cifar10-small-open": Preset(
        data="cifar10",
        conditioning="film-4-tokens",
        parameterization="v",  # informative at every noise level, see lesson 5.1
        unet=UNet2DConfig(channels=(64, 128, 128, 128), attention_levels=(1, 2)),
        train=TrainConfig(35_000, lr=4e-4, ema_decay=0.9995, flip=True, preview_every=5_000),
    ),
}


def preset(name: str) -> Preset:
    """A preset by name; ValueError lists the known ones."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset '{name}'; known: {', '.join(PRESETS)}")
    return PRESETS[name]
