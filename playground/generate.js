// From settings to pictures: one image with every step on its way, or a row of them from one noise.
import { guided } from "./guidance.js";
import { interpolateEmbeddings } from "./interpolation.js";
import { normals } from "./random.js";
import { SAMPLERS, ddimTimesteps } from "./samplers.js";
import { makeSchedule } from "./schedule.js";
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

/** The steps { t, xt, x0 } towards the images whose class is alphas (N) of the way, w a number or N of them. */
export function steps(model, entry, settings, { alphas, w }, noise = seededNoise(settings.seed, model.size)) {
  const schedule = makeSchedule(entry.alphas_cumprod);
  const ends = [settings.class, settings.to].map((name) => model.embedClass(entry.classes.indexOf(name)));
  const cond = interpolateEmbeddings(...ends, alphas, settings.path); // (N·D)
  const denoise = guided(model.network, schedule, cond, model.nullCond, w, entry.parameterization);
  const times = ddimTimesteps(schedule.timesteps, settings.steps);
  return SAMPLERS[settings.sampler](denoise, noise.initial(alphas.length), schedule, times, noise.step);
}

/** The one image that the settings describe. */
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

/** How many times one image's network is asked: guidance asks twice. */
export function evaluations(settings) {
  if (settings.strip === "sweep") return settings.steps * 2 * SCALES.length;
  const passes = settings.w === 0 || settings.w === 1 ? 1 : 2;
  return settings.steps * passes * (settings.strip === "walk" ? ALPHAS.length : 1);
}

/** The last step's images. */
export async function last(run) {
  let images;
  for await (const { xt } of run) images = xt;
  return images;
}
