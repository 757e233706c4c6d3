"""The way from noise to image, to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Trajectory:
    """Some steps of a sampler: what it started from and what it saw through the noise."""

    t: tuple[int, ...]  # the timesteps kept, S of them; the first and the last step are among them
    xt: Tensor  # (S, B, C, H, W), the noisy images at those timesteps
    x0_hat: Tensor  # (S, B, C, H, W), the denoiser's answers there
    final: Tensor  # (B, C, H, W), the images


def record(
    steps: Iterable[tuple[Tensor, Tensor]], start: Tensor, timesteps: Sequence[int] | Tensor, keep: int
) -> Trajectory:
    """Run a sampler from the noise `start` and keep `keep` evenly spaced steps of it (or all, if fewer), on the CPU."""
    times = [int(t) for t in timesteps]
    if keep < 1:
        raise ValueError(f"a trajectory keeps at least one step, got {keep}")
    kept = set(torch.linspace(0, len(times) - 1, min(keep, len(times))).round().int().tolist())
    noisy, seen, xt = [], [], start
    for i, (x_next, x0) in enumerate(steps):
        if i in kept:
            noisy.append(xt.cpu())
            seen.append(x0.cpu())
        xt = x_next
    return Trajectory(tuple(times[i] for i in sorted(kept)), torch.stack(noisy), torch.stack(seen), xt.cpu())
