// How much of the image is left at each timestep: ddpm_core/schedule.py.
// xt = sqrt(abar)·x0 + sqrt(1 - abar)·eps (Ho et al. 2020, eq. 4). For a trained model the numbers come from its
// manifest; the laboratory has no model, and computes them.

/** abar (T,) -> the schedule that samplers read. */
export function makeSchedule(alphasCumprod) {
  return { alphasCumprod, timesteps: alphasCumprod.length };
}

/** Betas (T,) for which abar falls as a squared cosine (Nichol & Dhariwal 2021, eq. 17), clamped to [1e-4, 0.9999]. */
export function cosineBetaSchedule(timesteps, s = 0.008) {
  const f = (i) => Math.cos(((i / timesteps + s) / (1 + s)) * (Math.PI / 2)) ** 2;
  return Float64Array.from({ length: timesteps }, (_, i) => Math.min(0.9999, Math.max(1e-4, 1 - f(i + 1) / f(i))));
}

/** Betas (T,) -> the schedule: abar is the running product of 1 - beta. */
export function fromBetas(betas) {
  let abar = 1;
  return makeSchedule(Float64Array.from(betas, (beta) => (abar *= 1 - beta)));
}

/** x0 with noise of timestep t (Ho et al. 2020, eq. 4). */
export function qSample(schedule, x0, t, noise) {
  const abar = schedule.alphasCumprod[t];
  return x0.map((x, i) => Math.sqrt(abar) * x + Math.sqrt(1 - abar) * noise[i]);
}

/** log(sqrt(abar) / sqrt(1 - abar)) at timestep t: DPM-Solver's time (Lu et al. 2022). */
export function halfLogSnr(schedule, t) {
  const abar = schedule.alphasCumprod[t];
  return 0.5 * (Math.log(abar) - Math.log1p(-abar));
}
