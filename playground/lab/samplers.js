// The solvers of ddpm_core/samplers/solvers.py, one pure step each, and Euler's and Heun's steps along straight paths.
// A denoiser is (xt, level) -> { x0, eps }; points are flat arrays (2N).
import { ddimTimesteps } from "../samplers.js";
import { cosineBetaSchedule, fromBetas } from "../schedule.js";

export const SCHEDULE = fromBetas(cosineBetaSchedule(1000));
export const CLEAN = { signal: 1, noise: 0 };
export const LAST = SCHEDULE.timesteps - 1; // pure noise

/** The noise level of timestep t of the cosine schedule; null is the clean image. */
export function levelAt(t) {
  if (t === null) return CLEAN;
  const abar = SCHEDULE.alphasCumprod[t];
  return { signal: Math.sqrt(abar), noise: Math.sqrt(1 - abar) };
}

/** The noise level of the straight path xt = (1 - t)·x0 + t·eps, t from 0 (data) to 1 (noise). */
export function flowLevel(t) {
  return { signal: 1 - t, noise: t };
}

/** a·x + b·y, element by element. */
function combine(a, x, b, y) {
  const out = new Float64Array(x.length);
  for (let i = 0; i < out.length; i++) out[i] = a * x[i] + b * y[i];
  return out;
}

/** DDIM, deterministic (Song et al. 2021, eq. 12 with sigma = 0). */
export function ddimStep({ x0, eps }, next) {
  return combine(next.signal, x0, next.noise, eps);
}

/** Ancestral sampling (Ho et al. 2020, eq. 6-7), with any stride; noise (2N), unused in the last step. */
export function ddpmStep({ x0, eps }, now, next, noise) {
  const alpha = (now.signal / next.signal) ** 2; // 1 - beta for the whole stride
  const mean = combine(next.signal, x0, (Math.sqrt(alpha) * next.noise ** 2) / now.noise, eps); // eq. 7
  if (next.noise === 0) return mean;
  return combine(1, mean, (next.noise / now.noise) * Math.sqrt(1 - alpha), noise); // beta tilde, eq. 7
}

/** Half the log of the signal-to-noise ratio: DPM-Solver's time. */
const halfLogSnr = ({ signal, noise }) => Math.log(signal) - Math.log(noise);

/** DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2): adds the slope of x0 in log-SNR to DDIM's step.
 *  before: { x0, level } one step back, or null. The first step has none; the last goes to infinite log-SNR. */
export function dpmSolverPPStep(answer, now, next, before) {
  const xt = ddimStep(answer, next);
  if (before === null || next.noise === 0) return xt;
  const h = halfLogSnr(next) - halfLogSnr(now);
  const hBefore = halfLogSnr(now) - halfLogSnr(before.level);
  const slope = -next.signal * ((Math.expm1(-h) * h) / (2 * hBefore));
  return xt.map((value, i) => value + slope * (answer.x0[i] - before.x0[i]));
}

/** dxt/dt of the straight path: E[eps - x0 | xt] (Lipman et al. 2023; Liu et al. 2023), (2N). */
export function velocity(denoise, xt, t) {
  const { x0, eps } = denoise(xt, flowLevel(t));
  return combine(1, eps, -1, x0);
}

/** One step of Euler's method; field is (xt, t) -> dxt/dt. */
export function eulerStep(field, xt, t, tNext) {
  return combine(1, xt, tNext - t, field(xt, t));
}

/** One step of Heun's method: the mean of the slopes at both ends, two evaluations. */
export function heunStep(field, xt, t, tNext) {
  const slope = field(xt, t);
  const there = field(combine(1, xt, tNext - t, slope), tNext);
  return xt.map((value, i) => value + ((tNext - t) / 2) * (slope[i] + there[i]));
}

export const SAMPLERS = {
  ddim: { title: "DDIM" },
  "dpm++": { title: "DPM-Solver++(2M)" },
  ddpm: { title: "DDPM" },
  euler: { title: "Flow, Euler", flow: true },
  heun: { title: "Flow, Heun", flow: true },
};

/** The noise level at which a sampler's points are at time t of 0 ... LAST; 0 is the clean image. */
export function levelOf(sampler, t) {
  if (t <= 0) return CLEAN;
  return SAMPLERS[sampler].flow ? flowLevel(t / LAST) : levelAt(Math.round(t));
}

/** A sampler's whole way from the noise xt: { times (S + 1), from LAST down to 0, states: S + 1 arrays (2N) }.
 *  noiseOf(t) -> fresh noise (2N), for DDPM alone. */
export function trajectory(denoise, xt, sampler, steps, noiseOf) {
  const states = [xt];
  if (SAMPLERS[sampler].flow) {
    const times = Array.from({ length: steps + 1 }, (_, i) => 1 - i / steps);
    const step = sampler === "heun" ? heunStep : eulerStep;
    const field = (x, t) => velocity(denoise, x, t);
    for (let i = 0; i < steps; i++) states.push((xt = step(field, xt, times[i], times[i + 1])));
    return { times: times.map((t) => t * LAST), states };
  }
  const timesteps = ddimTimesteps(SCHEDULE.timesteps, steps);
  let before = null;
  timesteps.forEach((t, i) => {
    const [now, next] = [levelAt(t), levelAt(timesteps[i + 1] ?? null)];
    const answer = denoise(xt, now);
    if (sampler === "ddim") xt = ddimStep(answer, next);
    else if (sampler === "ddpm") xt = ddpmStep(answer, now, next, next.noise === 0 ? null : noiseOf(t));
    else xt = dpmSolverPPStep(answer, now, next, before);
    before = { x0: answer.x0, level: now };
    states.push(xt);
  });
  return { times: [...timesteps, 0], states };
}

/** Where the points are at time t: on the line between the two steps around it, (2N). */
export function positionsAt({ times, states }, t) {
  const i = times.findIndex((time) => time <= t);
  if (i <= 0) return states[i < 0 ? states.length - 1 : 0];
  const share = (times[i - 1] - t) / (times[i - 1] - times[i]);
  return combine(1 - share, states[i - 1], share, states[i]);
}

/** Mean over the points of the length of the way, over the distance between its ends: 1 is a straight line. */
export function detour({ states }) {
  const n = states[0].length / 2;
  const length = (a, b, i) => Math.hypot(b[2 * i] - a[2 * i], b[2 * i + 1] - a[2 * i + 1]);
  let [way, direct] = [0, 0];
  for (let i = 0; i < n; i++) {
    for (let k = 1; k < states.length; k++) way += length(states[k - 1], states[k], i);
    direct += length(states[0], states[states.length - 1], i);
  }
  return way / direct;
}
