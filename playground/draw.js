// What is drawn: a picture with every step on its way, and a row of pictures.
import { imageSteps, seededNoise, stripSteps } from "./generate.js";
import { reason } from "./models.js";
import { parts } from "./step.js";
import { item } from "./vectors.js";
import { tell } from "./views.js";

/** Every step on the way to the picture that the settings describe: frames { t, xt, x0, parts }, the last one, with t
 *  null, the finished picture. onFrame(frames) is called after each; null where stop() came true in between. */
export async function drawImage(model, settings, stop, onFrame) {
  const { entry } = model;
  const noise = seededNoise(settings.seed, model.size);
  const frames = [];
  let before = noise.initial(1);
  for await (const { t, xt, x0, passes } of imageSteps(model, entry, settings, noise)) {
    if (stop()) return null;
    frames.push({ t, xt: before, x0, parts: parts(entry, { t, xt: before, passes }, settings.w) });
    before = xt;
    onFrame(frames);
  }
  frames.push({ t: null, xt: before, x0: before });
  return frames;
}

/** The noise that the picture starts from, which is known before there is a network. */
export function startingFrame(entry, settings) {
  const size = entry.shape.reduce((a, b) => a * b);
  return { t: entry.timesteps - 1, xt: seededNoise(settings.seed, size).initial(1), x0: null };
}

/** The classifier's answers to some images, or none where there is no classifier for them, or none to be had. */
export async function readings(model, images) {
  const classifier = await model.classifier().catch((error) => {
    tell(`The classifier could not be loaded: ${reason(error)}. The pictures are shown without its readings.`, "error");
    return null;
  });
  if (!classifier) return images.map(() => null);
  const all = new Float32Array(images.length * images[0].length);
  images.forEach((image, i) => all.set(image, i * image.length));
  return classifier(all);
}

/** The strip that the settings name, with its readings; null where stop() came true. */
export async function drawStrip(model, settings, stop) {
  let images = null;
  for await (const { xt } of stripSteps(model, model.entry, settings)) {
    if (stop()) return null;
    images = xt;
  }
  const n = images.length / model.size;
  const each = Array.from({ length: n }, (_, i) => item(images, i, n));
  return { images: each, settings, readings: await readings(model, each) };
}
