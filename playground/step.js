// One step, taken apart: xt -> two passes -> their difference times w -> the estimate -> the next xt.
import { predictX0 } from "./parameterization.js";
import { paint } from "./pictures.js";
import { mixesAnswers } from "./settings.js";
import { combine } from "./vectors.js";
import { percent } from "./views.js";

const NULL = "without the class";

/** What a step's estimate was made of, as images: weak and strong, each what one pass alone believes, and
 *  push = w·(strong - weak). The output is linear in x0, so weak + push, clamped, is the estimate. One pass: no push. */
export function parts(entry, { t, xt, passes }, w) {
  const abar = entry.alphas_cumprod[t];
  const believed = Object.fromEntries(
    Object.entries(passes).map(([pass, out]) => [pass, predictX0(entry.parameterization, out, xt, abar)]),
  );
  const { weak, strong } = believed;
  return weak && strong ? { weak, strong, push: combine(w, strong, -w, weak) } : believed;
}

/** Which of an estimate's values stand at the clamp, as a share. */
export function clamped(x0) {
  return x0.reduce((n, value) => n + (Math.abs(value) >= 1), 0) / x0.length;
}

/** Names and images of a step's thumbnails, in order: [name, caption, image]. */
export function thumbnails({ t, xt, x0, parts: made }, next, settings) {
  const who = settings.mix === 0 ? settings.class : settings.mix === 1 ? settings.to : "both classes";
  const mixed = mixesAnswers(settings, [settings.mix]);
  return [
    ["now", `image so far, t\u00a0=\u00a0${t}`, xt],
    made.strong && ["strong", made.push || mixed ? `with ${who}` : `one pass, with ${who}`, made.strong],
    made.weak && ["weak", made.push ? NULL : `one pass, ${NULL}`, made.weak],
    made.push && ["push", `their difference ×\u00a0${+settings.w.toFixed(1)}`, made.push],
    ["estimate", "estimate of the clean image", x0],
    ["next", next.t === null ? "the picture" : `next, t\u00a0=\u00a0${next.t}`, next.xt],
  ].filter(Boolean);
}

function slot(name) {
  const figure = document.createElement("figure");
  figure.dataset.part = name;
  const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
  canvas.setAttribute("role", "img");
  figure.append(canvas, document.createElement("figcaption"));
  return figure;
}

/** Show the step that led to frame i, or the last one where that is the finished picture. */
export function showParts(box, entry, frames, i, settings) {
  const at = Math.min(i, frames.length - 2);
  const shown = thumbnails(frames[at], frames[at + 1], settings);
  const names = shown.map(([name]) => name).join();
  if (box.dataset.parts !== names) {
    box.dataset.parts = names;
    box.replaceChildren(...shown.map(([name]) => slot(name)));
  }
  shown.forEach(([, caption, image], k) => {
    const [canvas, text] = box.children[k].children;
    paint(canvas, image, entry.shape);
    canvas.setAttribute("aria-label", caption);
    text.textContent = caption;
  });
}

/** Nothing to take apart yet. */
export function clearParts(box) {
  delete box.dataset.parts;
  box.replaceChildren();
}

/** How many passes there were, and what became of them. */
function passes({ push, strong }, mixed) {
  if (mixed && strong) {
    const both = "the predictions for both classes are mixed by their shares";
    return push ? `Three passes: ${both}; guidance adds w times what they change.` : `Two passes: ${both}. At w = 1 a third has no effect.`;
  }
  return push
    ? "Two passes: the estimate is the one without the class, plus w times what the class changes."
    : "One pass: at w = 0 and w = 1 the other one would have no effect.";
}

/** What there is to know about the step, in a sentence or two. */
export function explain({ t, x0, parts: made }, entry, settings) {
  const share = clamped(x0);
  const root = Math.sqrt(entry.alphas_cumprod[t]);
  const sum = passes(made, mixesAnswers(settings, [settings.mix]));
  if (entry.parameterization !== "epsilon" || root > 0.5 || share < 0.3) return sum;
  return `${sum} ${percent(share)} of the estimate is plain black or white. This network predicts the noise, and the
    estimate divides the rest by √ᾱ = ${root.toPrecision(1)}, so small errors grow and are clamped to [−1, 1].`;
}
