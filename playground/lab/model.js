// What follows from the state: points, densities and distances, each computed once for the settings it depends on.
import { normals } from "../random.js";
import { density, drawFrom, noisy, slicedWasserstein, tilted } from "./formula.js";
import { CLASSES, draw, guided, NULL, ofClass } from "./mixture.js";
import { LAST, levelOf, positionsAt, trajectory } from "./samplers.js";
import { mixtureFrom } from "./state.js";

export const N = 500;
export const CURVE = 25; // noise levels at which the distance is drawn
const [INITIAL, CLEAN_POINTS, TARGET] = [0, 2000, 3000]; // streams; t + 1 is that of the step which leaves t

const kept = new Map();
/** The last value under a name, or a new one where what it is made from has changed. */
function once(name, key, make) {
  if (kept.get(name)?.key !== key) kept.set(name, { key, value: make() });
  return kept.get(name).value;
}

const classOf = (state) => CLASSES.indexOf(state.y);
const guidanceKey = (s) => [s.modes, s.y, s.w].join();
const wayKey = (s) => [guidanceKey(s), s.sampler, s.steps, s.seed].join();
export const mixtureOfState = (s) => once("mixture", s.modes, () => mixtureFrom(s.modes));

/** Standard normal numbers (2N) of a stream. */
const noise = (seed, stream) => Float64Array.from(normals(seed, stream, 2 * N));
export const initialNoise = (s) => once("initial", s.seed, () => noise(s.seed, INITIAL));
const steps = new Map(); // fresh noise of DDPM's steps
function stepNoise(seed, t) {
  const key = `${seed}/${t}`;
  if (steps.size > 500) steps.clear();
  if (!steps.has(key)) steps.set(key, noise(seed, t + 1));
  return steps.get(key);
}

export const formula = (s) => once("formula", guidanceKey(s), () => tilted(mixtureOfState(s), classOf(s), s.w));

/** The guided sampler's way from noise to data. */
export function way(s, sampler = s.sampler) {
  return once(`way ${sampler}`, wayKey({ ...s, sampler }), () =>
    trajectory(guided(mixtureOfState(s), classOf(s), s.w), initialNoise(s), sampler, s.steps, (t) =>
      stepNoise(s.seed, t),
    ),
  );
}

/** Clean points of all classes, the mode of each, and the noise that the forward process adds to them. */
export function data(s, y = NULL) {
  return once("data", [s.modes, s.seed, y].join(), () => ({
    ...draw(mixtureOfState(s), y, noise(s.seed, CLEAN_POINTS), s.seed),
    eps: initialNoise(s),
  }));
}

/** The grey of a view at the state's t. */
export function grey(s) {
  if (s.view === "guidance") {
    const level = levelOf(s.sampler, s.t);
    return once("grey", [guidanceKey(s), level.signal].join(), () => noisy(formula(s), level));
  }
  const level = levelOf("ddim", s.t);
  return once("grey", [s.modes, level.signal].join(), () => density(mixtureOfState(s), NULL, level));
}

/** Draws of the formula's density with the noise of a level on them, by noise of their own. */
function target(s, level) {
  const clean = once("draws", guidanceKey(s), () => drawFrom(formula(s), N));
  const eps = once("target", "", () => noise(0, TARGET));
  return clean.map((value, i) => level.signal * value + level.noise * eps[i]);
}

/** How far the points are from the formula's density at time t. */
export function distanceAt(s, t) {
  return slicedWasserstein(positionsAt(way(s), t), target(s, levelOf(s.sampler, t)));
}

export const distance = (s) => once("distance", [wayKey(s), s.t].join(), () => distanceAt(s, s.t));

/** What distance as many draws of the formula itself have, by chance. */
export function chance(s) {
  return once("chance", guidanceKey(s), () =>
    slicedWasserstein(drawFrom(formula(s), N, 7, true), target(s, levelOf(s.sampler, 0))),
  );
}

/** The distance at evenly spaced times from noise to data, as far as it is known; each call adds `more` of them. */
export function curve(s, more) {
  const known = once("curve", wayKey(s), () => []);
  for (let i = 0; i < more && known.length < CURVE; i++) {
    known.push(distanceAt(s, LAST * (1 - known.length / (CURVE - 1))));
  }
  return known;
}

/** The mode of the class that lost most: { mode, promised, found }, shares of the formula's mass and of the points. */
export function emptied(s) {
  return once("emptied", wayKey(s), () => {
    const modes = ofClass(mixtureOfState(s), classOf(s));
    const promised = sharesOf(modes, target(s, levelOf(s.sampler, 0)));
    const found = sharesOf(modes, positionsAt(way(s), 0));
    return modes
      .map((mode, i) => ({ mode, promised: promised[i], found: found[i] }))
      .reduce((a, b) => (b.promised - b.found > a.promised - a.found ? b : a));
  });
}

/** The share of the points (2N) that lies nearest to each mode. */
function sharesOf(modes, points) {
  const shares = modes.map(() => 0);
  for (let i = 0; i < points.length; i += 2) {
    const far = modes.map((m) => (points[i] - m.x) ** 2 + (points[i + 1] - m.y) ** 2);
    shares[far.indexOf(Math.min(...far))] += 2 / points.length;
  }
  return shares;
}
