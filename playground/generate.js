// From settings to pictures: one image with every step on its way, or a row of them from one noise.
import { guided, mixture } from "./guidance.js";
import { interpolateEmbeddings } from "./interpolation.js";
import { normals } from "./random.js";
import { SAMPLERS, ddimTimesteps } from "./samplers.js";
import { makeSchedule } from "./schedule.js";
import { mixesAnswers } from "./settings.js";
import { repeat } from "./vectors.js";

export const SCALES = [0, 1, 2, 4, 6, 8, 10];
export const ALPHAS = Array.from({ length: 11 }, (_, i) => i / 10);

/** Noise for n images, the same for each of them, so that they differ by what is shown alone. */
export function seededNoise(seed, size) {
  return {
    initial: (n) => repeat(normals(seed, 0, size), n),
    step: (t, xt) => repeat(normals(seed, t + 1, size), xt.length / size),
  };
}

/** The class embeddings (N·D) on the way; where answers are mixed, there are the two ends alone. */
function between(ends, alphas, { path }) {
  return interpolateEmbeddings(...ends, alphas, path === "scores" ? "linear" : path);
}

/** The steps { t, xt, x0, passes } towards the images whose class is alphas (N) of the way, w a number or N of them. */
export async function* steps(model, entry, settings, { alphas, w }, noise = seededNoise(settings.seed, model.size)) {
  const schedule = makeSchedule(entry.alphas_cumprod);
  const ends = [settings.class, settings.to].map((name) => model.embedClass(entry.classes.indexOf(name)));
  const answer = mixesAnswers(settings, alphas)
    ? mixture(model.network, schedule, ends, model.nullCond, alphas, w, entry.parameterization)
    : guided(model.network, schedule, between(ends, alphas, settings), model.nullCond, w, entry.parameterization);
  let passes; // the samplers know nothing of these: what the last answer was made of
  const denoise = async (xt, t) => {
    const { x0, eps, passes: outputs } = await answer(xt, t);
    passes = outputs;
    return { x0, eps };
  };
  const times = ddimTimesteps(schedule.timesteps, settings.steps);
  const run = SAMPLERS[settings.sampler](denoise, noise.initial(alphas.length), schedule, times, noise.step);
  for await (const step of run) yield { ...step, passes };
}

/** The one image that the settings describe: steps { t, xt, x0 }. */
export function imageSteps(model, entry, settings, noise) {
  return steps(model, entry, settings, { alphas: [settings.mix], w: settings.w }, noise);
}

/** The guidance sweep or the walk between the classes, all from one noise. */
export function stripSteps(model, entry, settings, noise) {
  const row =
    settings.strip === "sweep"
      ? { alphas: SCALES.map(() => settings.mix), w: SCALES }
      : { alphas: ALPHAS, w: settings.w };
  return steps(model, entry, settings, row, noise);
}

/** How many times one image's network is asked: guidance asks without the class, too, and a mixture asks for both. */
export function evaluations(settings) {
  const { w, steps, strip, mix } = settings;
  const classes = mixesAnswers(settings, strip === "walk" ? ALPHAS : [mix]) ? 2 : 1;
  if (strip === "sweep") return steps * (1 + classes) * SCALES.length;
  const asks = w === 0 ? 1 : w === 1 ? classes : 1 + classes;
  return steps * asks * (strip === "walk" ? ALPHAS.length : 1);
}

/** The last step's images. */
export async function last(run) {
  let images;
  for await (const { xt } of run) images = xt;
  return images;
}
