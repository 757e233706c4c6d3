"""From noise to images, with any denoiser: which timesteps to visit, the noise, the solvers, and whole batches."""

from ddpm_core.samplers.noise import NoiseSource, initial_noise, step_noise
from ddpm_core.samplers.sampling import SampleConfig, Trajectory, denoiser, record, sample, sample_trajectory, solve
from ddpm_core.samplers.solvers import SAMPLERS, ddim, ddpm, dpm_solver_pp, last
from ddpm_core.samplers.timesteps import SPACINGS, ddim_timesteps, spaced_timesteps

__all__ = [
    "SAMPLERS", "SPACINGS", "NoiseSource", "SampleConfig", "Trajectory", "ddim", "ddim_timesteps", "ddpm", "denoiser",
    "dpm_solver_pp", "initial_noise", "last", "record", "sample", "sample_trajectory", "solve", "spaced_timesteps",
    "step_noise",
]  # fmt: skip
