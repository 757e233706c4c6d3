"""Designs of your own under a name of their own, so that presets, commands and checkpoints can ask for them."""

from typing import Any

from ddpm_core.conditioning import STRATEGIES
from ddpm_core.parameterization import PARAMETERIZATIONS
from ddpm_core.samplers import SAMPLERS
from ddpm_core.schedule import SCHEDULES
from ddpm_core.unet import ARCHITECTURES

KINDS: dict[str, dict[str, Any]] = {
    "conditioner": STRATEGIES,  # a Conditioning
    "sampler": SAMPLERS,  # (denoise, xt, schedule, timesteps) -> iterator of (xt, x0_hat)
    "schedule": SCHEDULES,  # timesteps -> betas (T,)
    "parameterization": PARAMETERIZATIONS,  # a Parameterization
    "architecture": ARCHITECTURES,  # (a NetworkConfig's subclass, the network that it describes)
}


def register(kind: str, name: str, value: Any) -> Any:
    """Make `value` known as `name` among the designs of one of KINDS; returns it.

    ValueError for another kind, and for a name that is taken by something else: a checkpoint would mean another model.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind '{kind}'; known: {', '.join(KINDS)}")
    if KINDS[kind].setdefault(name, value) is not value:
        raise ValueError(f"there is a {kind} '{name}' already; choose another name")
    return value
