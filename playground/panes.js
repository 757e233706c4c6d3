// The large pictures: one setting's image and estimate, or two settings' images side by side with their difference.
import { paint } from "./pictures.js";
import { SAMPLER_NAMES } from "./settings.js";
import { byId, plural } from "./views.js";

/** One setting in words: "w = 4", "class dog", "DDIM". */
export function inWords(name, value) {
  if (name === "sampler") return SAMPLER_NAMES[value];
  if (name === "steps") return plural(value, "step");
  if (name === "weights") return value === "ema" ? "averaged weights" : "raw weights";
  return name === "w" ? `w = ${value}` : `class ${value}`;
}

/** The frame of the second picture at the same share of its own way. */
export function matching(i, frames, others) {
  return Math.round((i / Math.max(1, frames.length - 1)) * (others.length - 1));
}

function show(id, image, shape) {
  const canvas = byId(id);
  canvas.classList.toggle("empty", !image);
  if (image) paint(canvas, image, shape);
  else canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

function caption(id, name, text) {
  const [bold, span] = byId(id).closest("figure").querySelector("figcaption").children;
  bold.innerHTML = name;
  span.textContent = text;
}

/** Half the difference, so that it fits into [-1, 1]: grey where the two agree. */
export function halfDifference(a, b) {
  return a.map((x, i) => (x - b[i]) / 2);
}

function meanDifference(a, b) {
  return a.reduce((sum, x, i) => sum + Math.abs(x - b[i]), 0) / a.length;
}

/** Frame i of `frames`, and what is beside it, `others`, in the same place of its own way (null: not drawn yet). */
export function showPanes(entry, settings, frames, i, others) {
  const { beside, other } = settings;
  const { xt, x0 } = frames[i];
  byId("views").dataset.panes = beside ? (settings.difference ? 3 : 2) : 1;
  for (const [id, shown] of [["x0", !beside], ["other", beside], ["apart", beside && settings.difference]]) {
    byId(id).closest("figure").hidden = !shown;
  }
  show("xt", xt, entry.shape);
  if (!beside) {
    caption("xt", "x<sub>t</sub>", x0 ? "image so far" : "the starting noise");
    caption("x0", "x̂<sub>0</sub>", x0 ? "the network's estimate of the clean image" : "unknown until the network is loaded");
    show("x0", x0, entry.shape);
    return;
  }
  const against = others && others[matching(i, frames, others)];
  caption("xt", "A", inWords(beside, settings[beside]));
  caption("other", "B", inWords(beside, other));
  show("other", against?.xt ?? xt, entry.shape); // both start from the same noise
  if (!settings.difference) return;
  const b = against?.xt ?? xt;
  show("apart", halfDifference(xt, b), entry.shape);
  caption("apart", "A − B", `grey where they agree; on average ${(meanDifference(xt, b) / 2).toFixed(2)} of the range`);
}
