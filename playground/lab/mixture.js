// Round Gaussians in the plane, each of a class, and all that is known of them at every noise level: the `Mixture` of
// lesson 5.2. Its answers are exact, so whatever guidance does wrong here is no fault of training.
//
// Points are flat arrays (2N): x, y, x, y, ... A noise level is { signal, noise }, of xt = signal·x0 + noise·eps.
import { philox } from "../random.js";

export const CLASSES = ["A", "B", "C"];
export const NULL = CLASSES.length; // the null class: "no class given"

/** A mixture of modes { x, y, spread, share, owner }; shares are normalised. */
export function mixtureOf(modes) {
  const total = modes.reduce((sum, mode) => sum + mode.share, 0);
  return modes.map((mode) => ({ ...mode, share: mode.share / total }));
}

const mode = (x, y, owner, share = 1, spread = 0.22) => ({ x, y, spread, share, owner });
const around = (k, n) =>
  mode(1.1 * Math.cos((2 * Math.PI * k) / n), 1.1 * Math.sin((2 * Math.PI * k) / n), k % 2, 1, 0.14);

export const PRESETS = {
  lesson: mixtureOf([mode(-0.9, 0.1, 0), mode(0.25, 0, 0), mode(0.75, 0.45, 1, 2), mode(0.65, -0.55, 2, 2)]),
  pair: mixtureOf([mode(-0.4, 0, 0, 1, 0.35), mode(0.4, 0, 1, 1, 0.35)]),
  ring: mixtureOf(Array.from({ length: 8 }, (_, k) => around(k, 8))),
};

/** The modes of class y; of the null class: all. */
export function ofClass(mixture, y) {
  return y === NULL ? mixture : mixture.filter((m) => m.owner === y);
}

/** log p_t(x, y) at each point for a class, log p_t(x) for the null class: (N,). */
export function logP(mixture, xt, level, y) {
  const parts = ofClass(mixture, y).map((m) => componentAt(m, level));
  const logs = new Float64Array(parts.length);
  return Float64Array.from({ length: xt.length / 2 }, (_, i) => {
    const top = logDensities(parts, xt[2 * i], xt[2 * i + 1], logs);
    let sum = 0;
    for (let j = 0; j < logs.length; j++) sum += Math.exp(logs[j] - top);
    return top + Math.log(sum);
  });
}

/** E[x0 | xt, y] and E[eps | xt, y], exactly, (2N) each: minus noise times the score is what a network would learn. */
export function network(mixture, xt, level, y) {
  const parts = ofClass(mixture, y).map((m) => componentAt(m, level));
  const logs = new Float64Array(parts.length);
  const [x0, eps] = [new Float64Array(xt.length), new Float64Array(xt.length)];
  for (let i = 0; i < xt.length; i += 2) {
    const top = logDensities(parts, xt[i], xt[i + 1], logs);
    let sum = 0;
    for (let j = 0; j < parts.length; j++) {
      const part = parts[j];
      const weight = Math.exp(logs[j] - top); // p(component j | xt), up to their sum
      const dx = xt[i] - part.fade * part.x;
      const dy = xt[i + 1] - part.fade * part.y;
      sum += weight;
      x0[i] += weight * (part.x + part.pull * dx);
      x0[i + 1] += weight * (part.y + part.pull * dy);
      eps[i] += weight * part.push * dx;
      eps[i + 1] += weight * part.push * dy;
    }
    x0[i] /= sum;
    x0[i + 1] /= sum;
    eps[i] /= sum;
    eps[i + 1] /= sum;
  }
  return { x0, eps };
}

/** weak + w·(strong - weak): w = 0 is weak, w = 1 strong (Ho & Salimans 2022, eq. 6; our w is their w + 1). */
export function extrapolate(weak, strong, w) {
  const out = new Float64Array(weak.length);
  for (let i = 0; i < out.length; i++) out[i] = weak[i] + w * (strong[i] - weak[i]);
  return out;
}

/** Classifier-free guidance by exact answers: a denoiser (xt, level) -> { x0, eps }. */
export function guided(mixture, y, w) {
  if (w === 0 || w === 1) return (xt, level) => network(mixture, xt, level, w ? y : NULL);
  return (xt, level) => {
    const [weak, strong] = [network(mixture, xt, level, NULL), network(mixture, xt, level, y)];
    return { x0: extrapolate(weak.x0, strong.x0, w), eps: extrapolate(weak.eps, strong.eps, w) };
  };
}

/** eps_u + w·(eps_c - eps_u) at each point, (2N). */
export function guidedEps(mixture, xt, level, y, w) {
  return guided(mixture, y, w)(xt, level).eps;
}

/** n clean points of class y, from standard normal noise (2n), and the mode of each: { points (2n), from (n) }. */
export function draw(mixture, y, noise, seed = 0) {
  const modes = ofClass(mixture, y);
  const total = modes.reduce((sum, m) => sum + m.share, 0);
  const from = Array.from({ length: noise.length / 2 }, (_, i) => {
    let left = ((philox([i, 0, 0, 0], [seed, 0xd4a3])[0] + 0.5) / 2 ** 32) * total;
    return modes.find((m) => (left -= m.share) <= 0) ?? modes[modes.length - 1];
  });
  const points = noise.map((value, i) => {
    const m = from[i >> 1];
    return (i % 2 ? m.y : m.x) + m.spread * value;
  });
  return { points, from };
}

/** A mode with noise on it is a Gaussian still: its mean fades, its variance is signal²·spread² + noise². */
function componentAt({ x, y, spread, share }, { signal, noise }) {
  const variance = (signal * spread) ** 2 + noise ** 2;
  return {
    x,
    y,
    fade: signal,
    pull: (signal * spread ** 2) / variance, // of xt on x0, within the mode
    push: noise / variance,
    log: Math.log(share) - Math.log(2 * Math.PI * variance),
    half: 1 / (2 * variance),
  };
}

/** log of share times density of every component at one point, into `logs`; returns the largest. */
function logDensities(parts, x, y, logs) {
  let top = -Infinity;
  for (let j = 0; j < parts.length; j++) {
    const p = parts[j];
    logs[j] = p.log - ((x - p.fade * p.x) ** 2 + (y - p.fade * p.y) ** 2) * p.half;
    if (logs[j] > top) top = logs[j];
  }
  return top;
}
