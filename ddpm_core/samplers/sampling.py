"""Whole sets of images from a diffusion model: guidance, a solver, and batches of limited size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from tqdm.auto import tqdm

from ddpm_core import guidance
from ddpm_core.diffusion import Denoiser, Diffusion
from ddpm_core.samplers.noise import NoiseSource, initial_noise, step_noise
from ddpm_core.samplers.solvers import SAMPLERS, Steps
from ddpm_core.samplers.timesteps import SPACINGS, spaced_timesteps
from ddpm_core.schedule import DiffusionSchedule


@dataclass(frozen=True)
class SampleConfig:
    """How to sample, apart from the number of steps and the guidance scale."""

    sampler: str = "ddim"  # deterministic, and the field's yardstick; "dpm++" needs fewer steps
    eta: float = 0.0  # share of fresh noise in each DDIM step
    spacing: str = "uniform"  # how the timesteps are spread
    interval: tuple[int, int] | None = None  # guidance only at these timesteps (inclusive), w = 1 elsewhere
    rescale: float = 0.0  # share of the conditional contrast that is restored; 0.7 suits large w
    lam: float | None = None  # CFG++ with this scale instead of w
    batch_size: int = 256  # samples at a time: peak memory depends on it, the images do not

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
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")


def denoiser(
    diffusion: Diffusion, cond: Tensor, w: float | Tensor = 1.0, config: SampleConfig | None = None
) -> Denoiser:
    """The denoiser that a config describes: classifier-free guidance by w, CFG++ by config.lam, or, if the diffusion
    has a weak network, autoguidance by w; limited to config.interval. cond (B, ...), w a number or (B,).
    """
    config, weak = config or SampleConfig(), diffusion.weak
    if weak is None and config.lam is None:
        strong = guidance.guided(diffusion, cond, w, config.rescale)
    else:
        branches = guidance.autoguidance(diffusion, weak, cond) if weak else guidance.batched(diffusion, cond)
        if config.lam is not None:
            strong = guidance.cfg_pp(diffusion, branches, config.lam)
        else:
            strong = guidance.guide(diffusion, branches, w, config.rescale)
    if config.interval:
        return guidance.guidance_interval(*config.interval, strong, guidance.plain(diffusion, cond))
    return strong


def solve(
    denoise: Denoiser,
    xt: Tensor,
    schedule: DiffusionSchedule,
    timesteps: Sequence[int] | Tensor,
    config: SampleConfig | None = None,
    noise: NoiseSource | Generator | None = None,
) -> Steps:
    """Run the solver that a config describes, from the initial noise xt (B, ...)."""
    config = config or SampleConfig()
    options = {"ddim": {"eta": config.eta, "noise": noise}, "ddpm": {"noise": noise}}.get(config.sampler, {})
    return SAMPLERS[config.sampler](denoise, xt, schedule, timesteps, **options)


def check_conditions(diffusion: Diffusion, y: Tensor) -> None:
    """ValueError if there are no conditions, or if a label is not one of the network's."""
    if len(y) == 0:
        raise ValueError("there are no labels to sample for; give one for each image")
    k = getattr(diffusion.network, "null_class", None)
    if k is None or y.dim() != 1:
        return
    if y.is_floating_point():
        raise ValueError(f"labels are whole numbers, got {y.dtype}; write y.long()")
    if y.min() < 0 or y.max() > k:
        raise ValueError(f"labels must lie between 0 and {k} (the null class), got {int(y.min())} to {int(y.max())}")


def _batch(
    d: Diffusion, y: Tensor, w: float | Tensor, times: Tensor, seed: int, ids: list[int], config: SampleConfig
) -> tuple[Tensor, Steps]:
    """The initial noise and the solver's steps for samples `ids` of conditions y (N, ...)."""
    scale = w.view(-1).expand(len(y))[ids].to(d.device) if isinstance(w, Tensor) else w
    denoise = denoiser(d, y[ids].to(d.device), scale, config)
    xt = initial_noise(ids, d.shape, seed).to(d.device)
    return xt, solve(denoise, xt, d.schedule, times, config, step_noise(ids, seed))


def sample(
    diffusion: Diffusion,
    y: Tensor,
    w: float | Tensor = 4.0,
    steps: int = 50,
    seed: int = 0,
    config: SampleConfig | None = None,
    progress: bool = False,
) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] for the conditions y (N, ...), labels or captions, on the CPU.

    Image i depends on (seed, i, y[i]), not on the other images; peak memory on config.batch_size, not on N. The scale
    w is a number or (N,). ValueError for conditions that the network does not know.
    """
    config, diffusion = config or SampleConfig(), diffusion.to(diffusion.device)
    check_conditions(diffusion, y)
    times = spaced_timesteps(diffusion.schedule, steps, config.spacing)
    batches, images = torch.arange(len(y)).split(config.batch_size), []
    with tqdm(total=len(batches) * steps, unit="step", desc=f"sampling {len(y)} images", disable=not progress) as bar:
        for ids in batches:
            _, run = _batch(diffusion, y, w, times, seed, ids.tolist(), config)
            for xt, _ in run:  # noqa: B007 - the last one is the image
                bar.update()
            images.append(xt.cpu())
    return torch.cat(images)


@dataclass(frozen=True)
class Trajectory:
    """Some steps of a sampler: its noisy images, and the clean images it predicted from them."""

    t: tuple[int, ...]  # the S timesteps kept; the first and, if S > 1, the last are among them
    xt: Tensor  # (S, B, C, H, W), the noisy images at those timesteps
    x0_hat: Tensor  # (S, B, C, H, W), the denoiser's predictions there
    final: Tensor  # (B, C, H, W), the images


def record(
    steps: Iterable[tuple[Tensor, Tensor]], start: Tensor, timesteps: Sequence[int] | Tensor, keep: int
) -> Trajectory:
    """Run a sampler from the noise `start` and keep `keep` evenly spaced steps (or all, if fewer) on the CPU."""
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


def sample_trajectory(
    diffusion: Diffusion,
    y: Tensor,
    w: float | Tensor = 4.0,
    steps: int = 50,
    seed: int = 0,
    config: SampleConfig | None = None,
    keep: int = 8,
) -> Trajectory:
    """`keep` steps on the way to the images that `sample` makes for y (N, ...), in one batch."""
    config, diffusion = config or SampleConfig(), diffusion.to(diffusion.device)
    check_conditions(diffusion, y)
    times = spaced_timesteps(diffusion.schedule, steps, config.spacing)
    xt, run = _batch(diffusion, y, w, times, seed, list(range(len(y))), config)
    return record(run, xt, times, keep)
