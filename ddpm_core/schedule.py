"""Noise schedules: how much of the image is left at each timestep.

xt = sqrt(abar)·x0 + sqrt(1 - abar)·eps, where abar is the cumulative product of 1 - beta (Ho et al. 2020, eq. 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def linear_beta_schedule(timesteps: int, beta_start: float = 1e-4, beta_end: float = 0.02) -> Tensor:
    """Betas (T,) in float64, evenly spaced (Ho et al. 2020, section 4)."""
    return torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)


def cosine_beta_schedule(timesteps: int, s: float = 0.008) -> Tensor:
    """Betas (T,) in float64 for which abar falls as a squared cosine (Nichol & Dhariwal 2021, eq. 17).

    Clamped to [1e-4, 0.9999]. Otherwise the last beta would be 1 and abar, which is divided by, would be 0. (The
    paper clips at 0.999 and has no lower bound; ours raises the first 13 of 1000.)
    """
    u = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2  # (T + 1,)
    return (1 - f[1:] / f[:-1]).clamp(1e-4, 0.9999)


def straight_beta_schedule(timesteps: int) -> Tensor:
    """Betas (T,) in float64 for flow.py's path, (1 - u)·x0 + u·eps rescaled, at u = 1/(T+1) ... T/(T+1)."""
    u = torch.arange(timesteps + 1, dtype=torch.float64) / (timesteps + 1)  # (T + 1,)
    abar = (1 - u) ** 2 / ((1 - u) ** 2 + u**2)
    return 1 - abar[1:] / abar[:-1]


SCHEDULES = {"linear": linear_beta_schedule, "cosine": cosine_beta_schedule, "straight": straight_beta_schedule}


def at(values: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """values[t], shaped to broadcast over x (B, ...) and in x's dtype: (T,), (B,) -> (B, 1, ...).

    Half precision becomes float32: in bfloat16, 1 - abar is 0 at small t, and in float16, abar is 0 at large t.
    """
    return values[t].to(torch.promote_types(x.dtype, torch.float32)).view(-1, *[1] * (x.dim() - 1))


@dataclass(frozen=True)
class DiffusionSchedule:
    """abar at every timestep, (T,), computed in float64, by default stored in float32; 0 <= abar < 1."""

    alphas_cumprod: Tensor

    @classmethod
    def named(
        cls, name: str = "cosine", timesteps: int = 1000, dtype: torch.dtype = torch.float32
    ) -> DiffusionSchedule:
        """A schedule by name; ValueError for an unknown name, or fewer than one timestep."""
        if name not in SCHEDULES:
            raise ValueError(f"unknown schedule '{name}'; known: {', '.join(SCHEDULES)}")
        if timesteps < 1:
            raise ValueError(f"a schedule needs at least one timestep, got {timesteps}")
        return cls.from_betas(SCHEDULES[name](timesteps), dtype)

    @classmethod
    def from_betas(cls, betas: Tensor, dtype: torch.dtype = torch.float32) -> DiffusionSchedule:
        """From betas (T,) in (0, 1]; ValueError if one lies outside, or is too small to bring abar below 1.

        A last beta of 1 (abar = 0) suits v and x0 prediction; there, eps says nothing about x0.
        """
        abar = torch.cumprod(1 - betas.double(), 0).to(dtype)
        if not ((betas > 0) & (betas <= 1)).all() or abar[0] == 1:  # at abar = 1, eps would be 0 / 0
            raise ValueError(
                f"betas must lie between {torch.finfo(dtype).eps:.0e} and 1, got {betas.min():g} to {betas.max():g}"
            )
        return cls(abar)

    @property
    def timesteps(self) -> int:
        """T, the number of noise levels."""
        return len(self.alphas_cumprod)

    @property
    def snr(self) -> Tensor:
        """Signal-to-noise ratio abar / (1 - abar), (T,), falling with t (Kingma et al. 2021, eq. 2)."""
        return self.alphas_cumprod / (1 - self.alphas_cumprod)

    @property
    def half_log_snr(self) -> Tensor:
        """log(sqrt(abar) / sqrt(1 - abar)), (T,), float64, on the CPU: DPM-Solver's time (Lu et al. 2022)."""
        abar = self.alphas_cumprod.cpu().double()
        return 0.5 * (abar.log() - torch.log1p(-abar))

    def to(self, device: torch.device | str) -> DiffusionSchedule:
        """The same schedule with its tensors on a device."""
        return DiffusionSchedule(self.alphas_cumprod.to(device))

    def q_sample(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """xt ~ q(xt | x0) for x0, eps (B, ...) and t (B,) (Ho et al. 2020, eq. 4)."""
        abar = at(self.alphas_cumprod, t, x0)  # (B, 1, ...)
        return abar.sqrt() * x0 + (1 - abar).sqrt() * eps

    def as_dict(self) -> dict[str, Tensor]:
        """The dictionary that the prediction track's functions receive; every entry is (T,)."""
        abar = self.alphas_cumprod
        return {"alphas_cumprod": abar, "sqrt_alpha": abar.sqrt(), "sqrt_one_minus_alpha": (1 - abar).sqrt()}
