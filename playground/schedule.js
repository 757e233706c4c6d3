// How much of the image is left at each timestep: ddpm_core/schedule.py.
// xt = sqrt(abar)·x0 + sqrt(1 - abar)·eps (Ho et al. 2020, eq. 4). The numbers come from the manifest.

/** abar (T,) -> the schedule that samplers read. */
export function makeSchedule(alphasCumprod) {
  return { alphasCumprod, timesteps: alphasCumprod.length };
}

/** log(sqrt(abar) / sqrt(1 - abar)) at timestep t: DPM-Solver's time (Lu et al. 2022). */
export function halfLogSnr(schedule, t) {
  const abar = schedule.alphasCumprod[t];
  return 0.5 * (Math.log(abar) - Math.log1p(-abar));
}
