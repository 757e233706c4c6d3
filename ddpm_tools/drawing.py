"""How images are drawn from a checkpoint, and the pairs of classes between which the course interpolates."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ddpm_core.checkpoint import Loaded
from ddpm_core.diffusion import Diffusion
from ddpm_core.guidance import guide, mixture
from ddpm_core.interpolation import InterpolationConfig, interpolate, interpolate_embeddings
from ddpm_core.samplers import SampleConfig, last, sample, solve, spaced_timesteps

PAIRS = (("3", "8"), ("1", "7"), ("4", "9"), ("0", "6"))
COLOUR_PAIRS = (("cat", "dog"), ("airplane", "ship"), ("automobile", "truck"), ("bird", "airplane"))


def known_pairs(classes: Sequence[str]) -> list[tuple[str, str]]:
    """The course's interpolation pairs that exist among these classes."""
    return [(a, b) for a, b in (*PAIRS, *COLOUR_PAIRS) if a in classes and b in classes]


@dataclass(frozen=True)
class Drawing:
    """How images are drawn from a checkpoint, and how many."""

    n: int = 1000  # a hundred for each of ten classes: with fewer, per-class results say little
    w: float = 1.0  # purely conditional: the model's own distribution; guidance trades diversity for adherence
    steps: int = 50
    seed: int = 0
    raw: bool = False  # raw weights instead of averaged ones
    config: SampleConfig = field(default_factory=SampleConfig)
    changes: dict[str, Any] = field(default_factory=dict)  # fields of the model's Diffusion: clip, weak
    progress: bool = False


def check_guidance(diffusion: Diffusion, w: float, config: SampleConfig) -> None:
    """ValueError if guidance is requested but the network has no null class, which guidance needs."""
    guided = diffusion.weak is None and (w != 1 or config.lam is not None)
    if guided and diffusion.null is None and getattr(diffusion.network, "null_cond", "its own affair") is None:
        k, asked = diffusion.network.config.num_classes, f"w = {w:g}" if config.lam is None else "CFG++"
        raise ValueError(
            f"the model has {k} classes and no null class, so guidance ({asked}) has nothing to compare with; "
            f"use --w 1, which is purely conditional"
        )


def draw(loaded: Loaded, y: Tensor, how: Drawing) -> Tensor:
    """Images (B, C, H, W) drawn from a checkpoint for labels y (B,)."""
    diffusion = replace(loaded.diffusion(how.raw), **how.changes)
    check_guidance(diffusion, how.w, how.config)
    return sample(diffusion, y, how.w, how.steps, how.seed, how.config, how.progress)


@torch.no_grad()
def between(
    diffusion: Diffusion,
    ends: Sequence[int],
    alphas: Tensor,
    noises: Tensor,
    w: float = 2.0,
    how: InterpolationConfig | None = None,
) -> Tensor:
    """Walks between two classes from many noises (walks, C, H, W), in one batch: images (walks·N, C, H, W), in order.

    Only the path (mode), the steps and the solver of `how` are used; the solver adds no noise.
    """
    diffusion, how = diffusion.to(noises.device), how or InterpolationConfig()
    a, b = torch.tensor(ends, device=noises.device)  # (), ()
    alphas, xt = alphas.to(noises), noises.repeat_interleave(len(alphas), 0)  # (N,), (walks·N, C, H, W)
    if how.mode == "scores":
        shares = alphas.repeat(len(noises))  # (walks·N,)
        branches = mixture(diffusion, (a.expand(len(xt)), b.expand(len(xt))), torch.stack([1 - shares, shares]))
        times = spaced_timesteps(diffusion.schedule, how.steps, how.sampling.spacing)
        return last(solve(guide(diffusion, branches, w), xt, diffusion.schedule, times, how.sampling))
    first, second = diffusion.network.embed_class(torch.stack([a, b]))  # (D,), (D,)
    conds = interpolate_embeddings(first, second, alphas, how.mode).repeat(len(noises), 1)  # (walks·N, D)
    return interpolate(diffusion.on_embeddings(), conds, xt, w, how.steps, how.sampling)
