// What the page says: one sentence about what one sees, from the numbers behind it.
import { CLASSES } from "./mixture.js";
import * as model from "./model.js";
import { detour, levelOf } from "./samplers.js";
import { answers, ARROWS, arrowTime, bothWays } from "./views.js";

const number = (value) => value.toFixed(2);
const percent = (share) => `${Math.round(100 * share)} %`;
const FAR = 2.5; // distances above this many times chance are called far

function ofGuidance(s) {
  if (s.w === 0) return "w = 0 ignores the class: the points spread over all of the data, as the grey does.";
  const promise = s.w === 1 ? `the density of class ${s.y}` : `p(x)·p(${s.y}|x)^${+s.w.toFixed(1)}`;
  const [far, chance] = [model.distance(s), model.chance(s)];
  if (s.t > 0) {
    const left = far < FAR * chance ? "" : " The points have left it.";
    return `w = ${+s.w.toFixed(1)}: ${model.N} points moving from noise to class ${s.y}, with exact scores. Grey:
      where the formula puts them at this t, ${promise} with noise added.${left}`;
  }
  if (far < FAR * chance)
    return `w = ${+s.w.toFixed(1)}: the points are on the grey, ${promise}, as the formula promises.`;
  const { mode, promised, found } = model.emptied(s);
  const places = model.mixtureOfState(s).filter((m) => CLASSES[m.owner] === s.y).length;
  const lost =
    places > 1 && found < promised / 2
      ? ` The mode of class ${s.y} at (${number(mode.x)}, ${number(mode.y)}) should hold ${percent(promised)} of them
          and holds ${percent(found)}.`
      : "";
  const name = s.w > 1 ? "overshoots: the points are past the grey" : "misses the grey";
  return `w = ${+s.w.toFixed(1)} ${name}, at a distance of ${number(far)} (${number(chance)} by chance).${lost}`;
}

function ofForward(s) {
  const { signal, noise } = levelOf("ddim", s.t);
  return `t = ${Math.round(s.t)}: every point is ${number(signal)} times its clean position plus ${number(noise)} times its noise. ${
    signal < 0.05 ? "The classes can no longer be told apart." : "Move t to blur the classes into one cloud, and back."
  }`;
}

const FIELDS = {
  u: () => "Without the class, the arrows point to where noisy points of all classes are dense.",
  c: (s) => `With the class, the arrows point to where noisy points of class ${s.y} are dense.`,
  difference: (s) =>
    `The difference points to where class ${s.y} is likelier than the others, and beyond.`,
  guided: (s) =>
    `Guided by w = ${+s.w.toFixed(1)}, the arrows point to class ${s.y} and ${s.w > 1 ? "past it, away from the others" : "not past it"}.`,
};

function ofPaths(s) {
  const { curved, straight } = bothWays(s);
  const lengths = `${number(detour(straight))} against ${number(detour(curved))} times the straight distance`;
  if (s.ways === "pairs") {
    return `Each path joins one data point and one noise: the flow's is straight, the cosine schedule's bends (${lengths}).`;
  }
  return `Same noises, same ends: Heun's flow and DDIM differ only in their paths (${lengths}). Only those of training pairs are straight.`;
}

/** One sentence about the state. */
export function sentence(s) {
  const text = { guidance: ofGuidance, forward: ofForward, scores: (x) => FIELDS[x.field](x), paths: ofPaths }[s.view](
    s,
  );
  return text.replace(/\s+/g, " ");
}

/** What the plane's colours mean: [colour, text] each. */
export function legend(s) {
  if (s.view === "paths") {
    return [
      ["curved", "cosine schedule (DDIM)"],
      ["straight", "straight path (flow, Heun)"],
      ["grey", "noisy data"],
    ];
  }
  const classes = CLASSES.map((name, k) => ["abc"[k], `class ${name}`]);
  if (s.view === "forward") return [...classes, ["grey", "p_t(x), all the data with the noise of this t"]];
  const arrows = ARROWS.map(({ title, colour }) => [colour, `arrow: ${title}`]);
  if (s.view === "scores") return [["grey", "p_t(x), all the data with the noise of this t"], ...arrows];
  const at = s.t > 0 ? ", with the noise of this t" : "";
  return [
    ["abc"[CLASSES.indexOf(s.y)], `points guided towards ${s.y}`],
    ["grey", `what the formula promises${at}`],
    ...arrows,
  ];
}

/** The arrows' lengths at the probe, and what they say: { sizes: name -> size, text }. */
export function pull(s, { x, y }) {
  const found = answers(s, Float64Array.of(x, y));
  const sizes = Object.fromEntries(ARROWS.map(({ name }) => [name, Math.hypot(...found[name])]));
  const gap = Math.hypot(found.guided[0] - found.formula[0], found.guided[1] - found.formula[1]);
  const at = `At t = ${arrowTime(s)} and (${number(x)}, ${number(y)})`;
  const said = gap < 0.1 ? "guidance and formula agree" : `guidance is off by ${number(gap)} from what the formula needs`;
  return { sizes, text: `${at}, ${said}. For comparison, a noise vector is 1.25 long on average.` };
}
