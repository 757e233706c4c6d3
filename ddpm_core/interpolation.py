"""Interpolation between classes, noises or both: along a line, along an arc, or by mixing two scores."""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from ddpm_core.diffusion import Denoiser, Diffusion
from ddpm_core.guidance import guide, mixture
from ddpm_core.samplers import SampleConfig, denoiser, last, solve, spaced_timesteps, step_noise

MODES = ("linear", "spherical")
PATHS = (*MODES, "scores")
VARY = ("class", "noise", "both")


def interpolate_embeddings(a: Tensor, b: Tensor, alphas: Tensor, mode: str = "linear") -> Tensor:
    """From a (D,) at alpha = 0 to b (D,) at alpha = 1: alphas (N,) -> (N, D). ValueError for an unknown mode.

    "spherical" moves the direction along the arc between the two (Shoemake 1985), and the length linearly. If the arc
    is undefined (parallel, antiparallel or zero vectors), it is linear too. Use it for noise: halfway between two
    orthogonal embeddings its weights add up to 1.41, which drives the network too hard (lesson 5.3). Tensors of any
    other shape, such as noise or tokens, are treated as one long vector.
    """
    if mode not in MODES:
        raise ValueError(f"unknown mode '{mode}'; known: {', '.join(MODES)}")
    if a.dim() != 1:
        return interpolate_embeddings(a.flatten(), b.flatten(), alphas, mode).unflatten(1, a.shape)  # (N, ...)
    alphas = alphas[:, None].to(a)  # (N, 1)
    line = (1 - alphas) * a + alphas * b  # (N, D)
    if mode == "linear":
        return line
    len_a, len_b = a.norm(), b.norm()
    if len_a == 0 or len_b == 0:
        return line
    unit_a, unit_b = a / len_a, b / len_b
    # atan2 of the half-angle's sides stays exact where arccos of the dot product loses all its digits
    angle = 2 * torch.atan2((unit_a - unit_b).norm(), (unit_a + unit_b).norm())
    if torch.sin(angle) < 1e-4:
        return line
    arc = (torch.sin((1 - alphas) * angle) * unit_a + torch.sin(alphas * angle) * unit_b) / torch.sin(angle)  # (N, D)
    return arc * ((1 - alphas) * len_a + alphas * len_b)


@dataclass(frozen=True)
class InterpolationConfig:
    """What changes along a row of images, and along which path."""

    vary: str = "class"  # "noise" keeps the first class; "both" changes both
    mode: str = "linear"  # the path of the class; "scores" mixes two outputs instead of two embeddings
    steps: int = 50
    sampling: SampleConfig = field(default_factory=SampleConfig)

    def __post_init__(self) -> None:
        for name, value, known in (("vary", self.vary, VARY), ("mode", self.mode, PATHS)):
            if value not in known:
                raise ValueError(f"unknown {name} '{value}'; known: {', '.join(known)}")
        if self.mode == "scores" and (self.sampling.lam is not None or self.sampling.interval):
            raise ValueError("mixing scores works with plain guidance by w only; leave lam and interval out")


def interpolate(
    diffusion: Diffusion,
    conds: Tensor,
    noises: Tensor,
    w: float = 2.0,
    steps: int = 50,
    config: SampleConfig | None = None,
    seed: int = 0,
) -> Tensor:
    """Images (N, C, H, W) along a path of conditions conds (N, ...) and noises (N, C, H, W).

    A solver that draws noise draws the same noise for the whole row (from `seed`), so neighbours differ only by their
    place on the path. For a path of class embeddings, pass `diffusion.on_embeddings()`.
    """
    config, rows = config or SampleConfig(), []
    for cond, xt in zip(conds.split(config.batch_size), noises.split(config.batch_size)):
        rows.append(_solved(diffusion, denoiser(diffusion, cond, w, config), xt, steps, config, seed))
    return torch.cat(rows)


def _solved(diffusion: Diffusion, denoise: Denoiser, xt: Tensor, steps: int, config: SampleConfig, seed: int) -> Tensor:
    times = spaced_timesteps(diffusion.schedule, steps, config.spacing)
    return last(solve(denoise, xt, diffusion.schedule, times, config, step_noise([0] * len(xt), seed)))


def interpolate_classes(
    diffusion: Diffusion,
    class_a: int,
    class_b: int,
    num_interp: int,
    w: float = 2.0,
    generator: Generator | None = None,
    how: InterpolationConfig | None = None,
) -> Tensor:
    """A row of images (num_interp, C, H, W) from class_a to class_b, all from one noise; a single image shows class_a.

    Noise always moves along an arc: a straight line between two noises passes through vectors too short to be noise.
    """
    how, diffusion = how or InterpolationConfig(), diffusion.to(diffusion.device)
    device = diffusion.device
    alphas, shape = torch.linspace(0, 1, num_interp, device=device), (1, *diffusion.shape)
    noise = torch.randn(shape, generator=generator).to(device)  # (1, C, H, W), one for the whole row ...
    noises = noise.repeat(num_interp, *[1] * (noise.dim() - 1))  # (N, C, H, W)
    if how.vary != "class":  # ... or one at each end
        other = torch.randn(shape, generator=generator).to(device)
        noises = interpolate_embeddings(noise[0], other[0], alphas, "spherical")
    seed = generator.initial_seed() if generator else 0
    ends = torch.tensor([class_a, class_b], device=device)
    if how.mode == "scores" and how.vary != "noise":
        a, b = (end.expand(num_interp) for end in ends)  # (N,), (N,)
        branches = mixture(diffusion, (a, b), torch.stack([1 - alphas, alphas]))
        denoise = guide(diffusion, branches, w, how.sampling.rescale)
        return _solved(diffusion, denoise, noises, how.steps, how.sampling, seed)
    with torch.no_grad():
        first, second = diffusion.network.embed_class(ends)  # (D,), (D,)
    conds = first.repeat(num_interp, 1)  # (N, D)
    if how.vary != "noise":
        conds = interpolate_embeddings(first, second, alphas, how.mode)
    return interpolate(diffusion.on_embeddings(), conds, noises, w, how.steps, how.sampling, seed)
