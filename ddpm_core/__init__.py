"""The book: conditional diffusion models in a library small enough to read in an evening.

Read it in the order in which an image is made:

    schedule          how much of the image is left at each timestep        parameterization  what the network predicts
    layers attention  the network's parts, where conditions enter           conditioning      how a class enters
    network unet dit  the networks                                          text              captions as the condition
    diffusion         a network with the meaning of its output
    guidance          a stronger push towards the condition                 samplers/         from noise to images
    data streams objectives ema training                                    interpolation     between two classes
    flow edm          straight paths; the noise level as time               latent editing    compression; editing
    config checkpoint files registry                                        metrics/ plots    is it any good?

Data flows one way. Training: data -> schedule.q_sample -> unet(conditioning) -> parameterization -> loss.
Sampling: noise -> sampler(guidance(unet)) -> images -> metrics, plots.
Images are (B, C, H, W) in [-1, 1]; t is an integer timestep 0 ... T-1 that grows with the noise.

The names below can be imported from here: `from ddpm_core import DiffusionSchedule, guided, sample, train`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "checkpoint": ("load_diffusion", "save_diffusion"),
    "conditioning": ("strategy",),
    "config": ("Preset", "preset"),
    "data": ("ImageData", "digits"),
    "diffusion": ("Diffusion",),
    "ema": ("EMA",),
    "guidance": ("autoguidance", "cfg_pp", "guided"),
    "interpolation": ("interpolate_classes", "interpolate_embeddings"),
    "network": ("Conditioning",),
    "parameterization": ("EPSILON", "V", "X0"),
    "registry": ("register",),
    "samplers": ("SampleConfig", "ddim", "ddpm", "dpm_solver_pp", "sample"),
    "schedule": ("DiffusionSchedule",),
    "training": ("TrainConfig", "TrainState", "train"),
    "unet": ("UNetConfig", "build_unet"),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> Any:
    """Import each name on first use, so that `import ddpm_core` alone takes no time."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"ddpm_core.{home}"), name)
    raise AttributeError(f"module 'ddpm_core' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
