// The solvers: ddpm_core/samplers. Each takes a denoiser, the initial noise xt (B·C·H·W) and descending timesteps, and
// yields { t, xt, x0 } after every step: the noisy image at the next timestep, and the estimate that led there.
import { halfLogSnr } from "./schedule.js";
import { combine } from "./vectors.js";

/** (numSteps,) integers, descending from T-1 to one gap above -1, in gaps that differ by at most 1. */
export function ddimTimesteps(numTimesteps, numSteps) {
  if (!(numSteps >= 1 && numSteps <= numTimesteps)) {
    throw new RangeError(`the number of steps must be between 1 and ${numTimesteps}, got ${numSteps}`);
  }
  return Array.from({ length: numSteps }, (_, i) => Math.floor(((numSteps - i) * numTimesteps) / numSteps) - 1);
}

/** [from, to] for every step; the last one goes to null, the clean image (abar = 1). */
function hops(timesteps) {
  return timesteps.map((t, i) => [t, timesteps[i + 1] ?? null]);
}

/** abar at the two ends of a step. */
function ends(schedule, t, s) {
  return [schedule.alphasCumprod[t], s === null ? 1 : schedule.alphasCumprod[s]];
}

/** DDIM, deterministic (Song et al. 2021, eq. 12 with sigma = 0). */
export async function* ddim(denoise, xt, schedule, timesteps) {
  for (const [t, s] of hops(timesteps)) {
    const { x0, eps } = await denoise(xt, t);
    const [, aNext] = ends(schedule, t, s);
    xt = combine(Math.sqrt(aNext), x0, Math.sqrt(1 - aNext), eps);
    yield { t, xt, x0 };
  }
}

/** Ancestral sampling (Ho et al. 2020, eq. 6-7), with any stride; noise(t, xt) -> fresh noise like xt. */
export async function* ddpm(denoise, xt, schedule, timesteps, noise) {
  for (const [t, s] of hops(timesteps)) {
    const { x0, eps } = await denoise(xt, t);
    const [a, aNext] = ends(schedule, t, s);
    const alpha = a / aNext; // 1 - beta for the whole stride
    xt = combine(Math.sqrt(aNext), x0, (Math.sqrt(alpha) * (1 - aNext)) / Math.sqrt(1 - a), eps); // eq. 7
    if (s !== null) {
      const variance = ((1 - aNext) / (1 - a)) * (1 - alpha); // beta tilde, eq. 7
      xt = combine(1, xt, Math.sqrt(variance), noise(t, xt));
    }
    yield { t, xt, x0 };
  }
}

/** DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2): adds the slope of x0 in log-SNR to DDIM's step.
 *  The first step has no previous one, and the last goes to infinite log-SNR: both are DDIM's. */
export async function* dpmSolverPP(denoise, xt, schedule, timesteps) {
  let before = null; // log-SNR and x0, one step back
  for (const [t, s] of hops(timesteps)) {
    const { x0, eps } = await denoise(xt, t);
    const [, aNext] = ends(schedule, t, s);
    const lam = halfLogSnr(schedule, t);
    xt = combine(Math.sqrt(aNext), x0, Math.sqrt(1 - aNext), eps);
    if (s !== null && before !== null) {
      const [h, hBefore] = [halfLogSnr(schedule, s) - lam, lam - before.lam];
      const slope = Math.sqrt(aNext) * ((Math.expm1(-h) * h) / (2 * hBefore));
      xt = combine(1, xt, -slope, combine(1, x0, -1, before.x0));
    }
    before = { lam, x0 };
    yield { t, xt, x0 };
  }
}

export const SAMPLERS = { ddim, ddpm, "dpm++": dpmSolverPP };
