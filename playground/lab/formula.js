// What the formula promises: the density p(x)·p(y|x)^w (lesson 5.2, eq. 5) on a grid, the same with noise on it
// (eq. 6), its exact denoiser, draws from it, and how far other points are from it.
import { philox } from "../random.js";
import { logP, NULL } from "./mixture.js";
import { CLEAN } from "./samplers.js";

export const CELL = 0.055;
export const COLUMNS = 88; // x from -2.42 to 2.42
export const ROWS = 60; // y from -1.65 to 1.65
export const CENTRES = {
  x: Float64Array.from({ length: COLUMNS }, (_, i) => (i - (COLUMNS - 1) / 2) * CELL),
  y: Float64Array.from({ length: ROWS }, (_, i) => (i - (ROWS - 1) / 2) * CELL),
};
export const GRID = Float64Array.from({ length: 2 * COLUMNS * ROWS }, (_, i) =>
  i % 2 ? CENTRES.y[Math.floor((i >> 1) / COLUMNS)] : CENTRES.x[(i >> 1) % COLUMNS],
); // row by row

/** Logs -> weights that sum to one. */
function softmax(logs) {
  let top = -Infinity;
  for (let i = 0; i < logs.length; i++) top = Math.max(top, logs[i]);
  return normalised(logs.map((value) => Math.exp(value - top)));
}

/** Divided by its sum. */
function normalised(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return values.map((value) => value / sum);
}

/** p_t(x|y) on the grid, of the null class p_t(x), normalised to a sum of one: (M,). */
export function density(mixture, y, level) {
  return softmax(logP(mixture, GRID, level, y));
}

/** p(x)·p(y|x)^w on the grid, normalised to a sum of one: (M,). */
export function tilted(mixture, y, w) {
  const [all, joint] = [logP(mixture, GRID, CLEAN, NULL), logP(mixture, GRID, CLEAN, y)];
  return softmax(all.map((value, i) => value + w * (joint[i] - value))); // log p(y|x) = log p(x, y) - log p(x)
}

/** K[i, k]: how much of what lies at centre k is found at centre i, with the noise of a level on it. */
function spreadOut(centres, { signal, noise }) {
  const variance = noise ** 2 + (signal * CELL) ** 2 / 12; // a cell is a square, not a point
  return Array.from(centres, (to) => centres.map((from) => Math.exp(-((to - signal * from) ** 2) / (2 * variance))));
}

/** The density p (M,) with the noise of a level on it, on the same grid, normalised: eq. 6. */
export function noisy(p, level) {
  if (level.noise === 0) return p;
  const [across, down] = [spreadOut(CENTRES.x, level), spreadOut(CENTRES.y, level)];
  const half = new Float64Array(p.length); // spread along x
  for (let row = 0; row < ROWS; row++) {
    const line = p.subarray(row * COLUMNS, (row + 1) * COLUMNS);
    for (let i = 0; i < COLUMNS; i++) {
      const weights = across[i];
      let sum = 0;
      for (let k = 0; k < COLUMNS; k++) sum += weights[k] * line[k];
      half[row * COLUMNS + i] = sum;
    }
  }
  const q = new Float64Array(p.length);
  for (let row = 0; row < ROWS; row++) {
    for (let k = 0; k < ROWS; k++) {
      const weight = down[row][k];
      for (let i = 0; i < COLUMNS; i++) q[row * COLUMNS + i] += weight * half[k * COLUMNS + i];
    }
  }
  return normalised(q);
}

/** The exact denoiser of the density p (M,): E[x0 | xt] and the noise that agrees with it. */
export function ideal(p) {
  const logs = p.map(Math.log);
  return (xt, { signal, noise }) => {
    const [x0, eps] = [new Float64Array(xt.length), new Float64Array(xt.length)];
    for (let i = 0; i < xt.length; i += 2) {
      const weights = softmax(
        logs.map(
          (value, k) =>
            value -
            ((xt[i] - signal * GRID[2 * k]) ** 2 + (xt[i + 1] - signal * GRID[2 * k + 1]) ** 2) / (2 * noise ** 2),
        ),
      );
      weights.forEach((weight, k) => {
        x0[i] += weight * GRID[2 * k];
        x0[i + 1] += weight * GRID[2 * k + 1];
      });
      for (const d of [i, i + 1]) eps[d] = (xt[d] - signal * x0[d]) / noise;
    }
    return { x0, eps };
  };
}

const uniform = (word) => (word + 0.5) / 2 ** 32;

/** n points of the density p (M,): (2n). Evenly spread over its mass, or each by itself (`alone`), as samples are. */
export function drawFrom(p, n, seed = 0, alone = false) {
  const words = Array.from({ length: n }, (_, i) => philox([i, 0, 0, 0], [seed, 0xf0a]).map(uniform));
  const marks = words.map(([u], i) => (alone ? u : (i + u) / n)).sort((a, b) => a - b);
  const points = new Float64Array(2 * n);
  let [cell, below] = [0, p[0]];
  marks.forEach((mark, i) => {
    while (below < mark && cell < p.length - 1) below += p[++cell];
    points[2 * i] = GRID[2 * cell] + (words[i][1] - 0.5) * CELL;
    points[2 * i + 1] = GRID[2 * cell + 1] + (words[i][2] - 0.5) * CELL;
  });
  return points;
}

/** Sliced Wasserstein-1 distance of two sets of equally many points (2N): both are projected on a line and sorted, and
 *  the mean distance of partners is taken over lines in all directions. The unit is that of the plane. */
export function slicedWasserstein(a, b, directions = 16) {
  const n = a.length / 2;
  const [along, other] = [new Float64Array(n), new Float64Array(n)];
  let sum = 0;
  for (let k = 0; k < directions; k++) {
    const [c, s] = [Math.cos((Math.PI * k) / directions), Math.sin((Math.PI * k) / directions)];
    for (let i = 0; i < n; i++) {
      along[i] = c * a[2 * i] + s * a[2 * i + 1];
      other[i] = c * b[2 * i] + s * b[2 * i + 1];
    }
    along.sort();
    other.sort();
    for (let i = 0; i < n; i++) sum += Math.abs(along[i] - other[i]);
  }
  return sum / (n * directions);
}
