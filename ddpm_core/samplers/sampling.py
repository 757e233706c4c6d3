"""Whole sets of images from a network: a denoiser with guidance, a solver, and batches of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from tqdm.auto import tqdm

from ddpm_core import guidance
from ddpm_core.guidance import Denoiser, Network
from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.samplers.noise import NoiseSource, initial_noise, step_noise
from ddpm_core.samplers.solvers import SAMPLERS, Steps, last
from ddpm_core.samplers.timesteps import SPACINGS, spaced_timesteps
from ddpm_core.samplers.trajectory import Trajectory, record
from ddpm_core.schedule import DiffusionSchedule


@dataclass(frozen=True)
class SampleConfig:
    """How to sample, besides the number of steps and the guidance scale."""

    sampler: str = "ddim"  # deterministic, and the yardstick of the field; "dpm++" needs fewer steps
    eta: float = 0.0  # DDIM's share of fresh noise in every step
    spacing: str = "uniform"  # of the timesteps
    interval: tuple[int, int] | None = None  # guidance acts at these timesteps (both included), w = 1 elsewhere
    rescale: float = 0.0  # share of the conditional contrast that is restored; 0.7 suits large scales
    lam: float | None = None  # CFG++ with this scale, in place of w
    clip: bool = True  # images lie in [-1, 1], so predictions beyond it are wrong

    def __post_init__(self) -> None:
        for name, value, known in (("sampler", self.sampler, SAMPLERS), ("spacing", self.spacing, SPACINGS)):
            if value not in known:
                raise ValueError(f"unknown {name} '{value}'; known: {', '.join(known)}")
        for name, value in (("eta", self.eta), ("rescale", self.rescale), ("lam", self.lam or 0)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {value:g}")
        if self.eta and self.sampler != "ddim":
            raise ValueError(f"eta is an option of the sampler ddim; leave it out with {self.sampler}")
        if self.rescale and self.lam is not None:
            raise ValueError("CFG++ (lam) does not raise the contrast; leave rescale out with it")
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise ValueError(
                f"the guidance interval's lower end comes first, got {self.interval[0]} {self.interval[1]}"
            )


def denoiser(
    network: Network,
    schedule: DiffusionSchedule,
    cond: Tensor,
    null: Tensor,
    w: float | Tensor = 1.0,
    parameterization: Parameterization = EPSILON,
    config: SampleConfig | None = None,
    weak: Network | None = None,
) -> Denoiser:
    """The denoiser that a config describes: classifier-free guidance by w, CFG++ by config.lam, or, with a weak
    network, autoguidance by w; confined to config.interval.

    cond (B, ...), null (1, ...), w a number or (B,).
    """
    config = config or SampleConfig()
    lone = guidance.plain(network, schedule, cond, parameterization, config.clip)
    if weak is None and config.lam is None:
        strong = guidance.guided(network, schedule, cond, null, w, parameterization, config.rescale, config.clip)
    else:
        branches = guidance.autoguidance(network, weak, cond) if weak else guidance.batched(network, cond, null)
        if config.lam is not None:
            strong = guidance.cfg_pp(branches, schedule, config.lam, parameterization, config.clip)
        else:
            strong = guidance.guide(branches, schedule, w, parameterization, config.rescale, config.clip)
    return guidance.guidance_interval(*config.interval, strong, lone) if config.interval else strong


def solve(
    denoise: Denoiser,
    xt: Tensor,
    schedule: DiffusionSchedule,
    timesteps: Sequence[int] | Tensor,
    config: SampleConfig | None = None,
    noise: NoiseSource | Generator | None = None,
) -> Steps:
    """The solver that a config describes, from the initial noise xt (B, ...)."""
    config = config or SampleConfig()
    options = {"ddim": {"eta": config.eta, "noise": noise}, "ddpm": {"noise": noise}}.get(config.sampler, {})
    return SAMPLERS[config.sampler](denoise, xt, schedule, timesteps, **options)


def counted(steps: Steps, bar: tqdm) -> Steps:
    """The same steps, each of them moving the bar."""
    for step in steps:
        bar.update()
        yield step


def _batch(
    model: nn.Module,
    schedule: DiffusionSchedule,
    y: Tensor,
    w: float | Tensor,
    timesteps: Tensor,
    seed: int,
    ids: list[int],
    parameterization: Parameterization,
    config: SampleConfig,
    weak: Network | None,
) -> tuple[Tensor, Steps]:
    """The initial noise and the solver's steps for samples `ids` of conditions y (N, ...)."""
    device, u = next(model.parameters()).device, model.config
    cond = y[ids].to(device)
    scale = w.view(-1).expand(len(y))[ids].to(device) if isinstance(w, Tensor) else w
    denoise = denoiser(model, schedule, cond, model.null_cond, scale, parameterization, config, weak)
    xt = initial_noise(ids, (u.image_channels, u.image_size, u.image_size), seed).to(device)
    return xt, solve(denoise, xt, schedule, timesteps, config, step_noise(ids, seed))


def sample(
    model: nn.Module,
    schedule: DiffusionSchedule,
    y: Tensor,
    w: float | Tensor = 4.0,
    steps: int = 50,
    seed: int = 0,
    batch_size: int = 256,
    parameterization: Parameterization = EPSILON,
    progress: bool = False,
    config: SampleConfig | None = None,
    weak: Network | None = None,
) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] for the conditions y (N, ...), labels or captions, on the CPU.

    Image i depends on (seed, i, y[i]), not on the others; peak memory on batch_size, not on N. w is a number or (N,);
    `weak`, an earlier snapshot of the model, turns guidance into autoguidance. The model offers `null_cond` (1, ...).
    """
    config = config or SampleConfig()
    schedule = schedule.to(next(model.parameters()).device)
    times = spaced_timesteps(schedule, steps, config.spacing)
    batches = torch.arange(len(y)).split(batch_size)
    images = []
    with tqdm(total=len(batches) * steps, unit="step", desc=f"sampling {len(y)} images", disable=not progress) as bar:
        for ids in batches:
            _, run = _batch(model, schedule, y, w, times, seed, ids.tolist(), parameterization, config, weak)
            images.append(last(counted(run, bar)).cpu())
    return torch.cat(images)


def sample_trajectory(
    model: nn.Module,
    schedule: DiffusionSchedule,
    y: Tensor,
    w: float | Tensor = 4.0,
    steps: int = 50,
    seed: int = 0,
    keep: int = 8,
    parameterization: Parameterization = EPSILON,
    config: SampleConfig | None = None,
    weak: Network | None = None,
    indices: Sequence[int] | None = None,
) -> Trajectory:
    """`keep` steps of the way to images `indices` (None: all) of those `sample` makes of y (N, ...), in one batch."""
    config = config or SampleConfig()
    schedule = schedule.to(next(model.parameters()).device)
    times = spaced_timesteps(schedule, steps, config.spacing)
    ids = list(range(len(y)) if indices is None else indices)
    xt, run = _batch(model, schedule, y, w, times, seed, ids, parameterization, config, weak)
    return record(run, xt, times, keep)
