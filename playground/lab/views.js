// What each view draws on the plane.
import { ideal } from "./formula.js";
import { CLASSES, extrapolate, network, NULL } from "./mixture.js";
import * as model from "./model.js";
import { flowLevel, LAST, levelAt, levelOf, positionsAt } from "./samplers.js";
import { colour } from "./scene.js";

const TRAILS = 150; // points whose way is drawn: more would hide the rest
const PATHS = 24;
const LONGEST = 1.3; // of an arrow, in units of the plane
const LENGTH = 0.45; // of an arrow for a noise of 1
const LOWEST = 50; // arrows are drawn at this t or above: at t = 0 no noise is left to point away from

export const arrowTime = (s) => Math.max(LOWEST, Math.round(s.t));
export const classColour = (k) => colour("abc"[k]);
export const ARROWS = [
  { name: "u", title: "without the class", colour: "arrow-u" },
  { name: "c", title: "with the class", colour: "arrow-c" },
  { name: "guided", title: "guided", colour: "arrow-guided" },
  { name: "formula", title: "what the formula needs", colour: "arrow-formula" },
];

/** The exact noise at points (2N): without and with the class, guided, and that of the formula's noisy density. */
export function answers(s, points, t = arrowTime(s), withFormula = true) {
  const [mixture, y] = [model.mixtureOfState(s), CLASSES.indexOf(s.y)];
  const level = levelOf(s.view === "guidance" ? s.sampler : "ddim", t);
  const [u, c] = [NULL, y].map((label) => network(mixture, points, level, label).eps);
  const formula = withFormula ? ideal(model.formula(s))(points, level).eps : null;
  return {
    u,
    c,
    difference: extrapolate(u, c, 1).map((value, i) => value - u[i]),
    guided: extrapolate(u, c, s.w),
    formula,
  };
}

/** An arrow against the noise, which is the way a sampler goes; long ones are cut. */
function against(scene, x, y, dx, dy, ...look) {
  const cut = Math.min(1, LONGEST / (LENGTH * Math.hypot(dx, dy)));
  scene.arrow(x, y, -dx * LENGTH * cut, -dy * LENGTH * cut, ...look);
}

function drawProbe(scene, s, probe) {
  const { x, y } = probe;
  const found = answers(s, Float64Array.of(x, y));
  for (const { name, colour: its } of ARROWS) {
    if (name !== "formula") against(scene, x, y, ...found[name], colour(its), name === "guided" ? 4 : 3);
  }
  against(scene, x, y, ...found.formula, colour("arrow-formula"), 2.5, [6, 4]);
  scene.dots(Float64Array.of(x, y), colour("panel"), 6);
  scene.dots(Float64Array.of(x, y), colour("ink"), 4);
}

function guidance(scene, s, probe) {
  const way = model.way(s);
  if (s.trails) {
    scene.context.globalAlpha = 0.35;
    scene.ways(way.states, classColour(CLASSES.indexOf(s.y)), TRAILS);
    scene.context.globalAlpha = 1;
  }
  scene.dots(positionsAt(way, s.t), classColour(CLASSES.indexOf(s.y)));
  drawProbe(scene, s, probe);
}

function forward(scene, s) {
  const { points, from, eps } = model.data(s);
  const { signal, noise } = levelOf("ddim", s.t);
  const xt = points.map((value, i) => signal * value + noise * eps[i]);
  CLASSES.forEach((_, k) => scene.dots(xt, classColour(k), 2.2, (i) => from[i].owner === k));
}

function scores(scene, s, probe) {
  const [columns, rows] = [19, 13];
  const points = Float64Array.from({ length: 2 * columns * rows }, (_, i) => {
    const cell = i >> 1;
    return i % 2 ? (Math.floor(cell / columns) - (rows - 1) / 2) * 0.25 : ((cell % columns) - (columns - 1) / 2) * 0.25;
  });
  const eps = answers(s, points, arrowTime(s), false)[s.field];
  const its = colour(s.field === "difference" ? "ink" : `arrow-${s.field}`);
  for (let i = 0; i < points.length; i += 2) {
    const size = Math.hypot(eps[i], eps[i + 1]);
    const length = (0.22 * Math.min(1, size / 1.5)) / (LENGTH * size || 1); // cells do not overlap
    against(scene, points[i], points[i + 1], eps[i] * length, eps[i + 1] * length, its, 1.4);
  }
  drawProbe(scene, s, probe);
}

/** The ways of training pairs, of one point and one noise each, along both paths: { curved, straight }. */
function pairs(s) {
  const { points, eps } = model.data(s, CLASSES.indexOf(s.y));
  const mixed = ({ signal, noise }) => points.map((value, i) => signal * value + noise * eps[i]);
  const times = Array.from({ length: 41 }, (_, i) => LAST * (1 - i / 40));
  const along = (levelAtTime) => ({ times, states: times.map((t) => mixed(levelAtTime(t))) });
  return { curved: along((t) => levelAt(Math.round(t))), straight: along((t) => flowLevel(t / LAST)) };
}

/** Both kinds of ways, by what the state asks for. */
export function bothWays(s) {
  return s.ways === "pairs" ? pairs(s) : { curved: model.way(s, "ddim"), straight: model.way(s, "heun") };
}

function paths(scene, s) {
  for (const [name, way] of Object.entries(bothWays(s))) {
    scene.ways(way.states, colour(name), PATHS, 1.4);
    scene.dots(positionsAt(way, s.t), colour(name), 4, (i) => i < PATHS);
  }
}

const DRAW = { guidance, forward, scores, paths };

/** The whole plane: the cloud, what the view shows, and the modes. */
export function drawPlane(scene, s, probe, chosen) {
  scene.begin();
  scene.cloud(model.grey(s));
  DRAW[s.view](scene, s, probe);
  model.mixtureOfState(s).forEach((m, i) => scene.ring(m, CLASSES[m.owner], classColour(m.owner), i === chosen));
}
