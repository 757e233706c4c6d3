"""Give your own designs a name by which presets, commands and checkpoints can use them."""

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
    "architecture": ARCHITECTURES,  # (a subclass of NetworkConfig, the network it describes)
}


def register(kind: str, name: str, value: Any) -> Any:
    """Register `value` under `name` as one of KINDS; returns `value`.

    ValueError for an unknown kind, or for a name in use for something else: checkpoints would get another model.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind '{kind}'; known: {', '.join(KINDS)}")
    if KINDS[kind].setdefault(name, value) is not value:
        raise ValueError(f"there is a {kind} '{name}' already; choose another name")
    return value
