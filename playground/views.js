// What the page shows around the large pictures: the classifier's reading, the film and the strips.
import { ALPHAS, SCALES } from "./generate.js";
import { picture } from "./pictures.js";
import { PATH_NAMES, SAMPLER_NAMES } from "./settings.js";

export const byId = (id) => document.getElementById(id);
export const percent = (p) => `${Math.round(100 * p)} %`;
export const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const best = (reading) => reading.indexOf(Math.max(...reading));

function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** A sentence in one of the page's places for them; the place for errors hides when it is empty. */
export function tell(text, place = "status") {
  byId(place).textContent = text;
  if (place === "error") byId(place).hidden = !text;
}

/** Where in the frames one is: the slider, its text, and the mark in the film. */
export function showAt(frames, i) {
  const [{ t }, n] = [frames[i], frames.length - 1];
  const slider = byId("at");
  slider.max = n;
  slider.value = i;
  byId("at-text").textContent = t === null ? `after ${plural(n, "step")}` : `step ${i}, t = ${t}`;
  slider.setAttribute("aria-valuetext", byId("at-text").textContent);
  for (const frame of byId("film").children) frame.setAttribute("aria-pressed", Number(frame.dataset.step) === i);
}

/** How many columns the film has: the first step, the picture, and steps between at equal distances. */
export function filmSteps(count, columns = 10) {
  const n = Math.min(columns, count);
  return n === 1 ? [count - 1] : Array.from({ length: n }, (_, i) => Math.round((i * (count - 1)) / (n - 1)));
}

/** The film's columns, each a button that brings its step to the stage: showStep(i), null for the picture. */
export function showFilm(entry, frames, see) {
  const columns = filmSteps(frames.length).map((i) => {
    const { t, xt, x0 } = frames[i];
    const label = t === null ? "picture" : `t = ${t}`;
    const pictures = [xt, x0].filter(Boolean).map((image) => picture(image, entry.shape, ""));
    const button = element("button", { type: "button" }, ...pictures, element("span", { textContent: label }));
    button.dataset.step = i;
    button.setAttribute("aria-label", t === null ? "Show the picture" : `Show step ${i}, t = ${t}`);
    button.addEventListener("click", () => see(t === null ? null : i));
    return button;
  });
  byId("film").replaceChildren(...columns);
}

/** What was asked for, in words. */
export function asked({ class: a, to, mix, w }) {
  if (w === 0) return "w = 0 asks for no class";
  if (mix === 0) return `Asked for ${a}`;
  return mix === 1 ? `Asked for ${to}` : `Asked for ${percent(mix)} of the way from ${a} to ${to}`;
}

const read = (entry, reading) => `the classifier reads ${entry.classes[best(reading)]} (${percent(Math.max(...reading))})`;

function bar(p) {
  const fill = element("i", {});
  fill.style.width = percent(p).replace(" ", "");
  return element("div", { className: "track" }, fill);
}

/** The classifier's probabilities as a sentence and as bars, those of the picture beside under them; hidden where there
 *  is no classifier (null). */
export function showReading(entry, settings, reading, other) {
  if (reading === undefined) return; // not read yet
  byId("reading").hidden = !reading;
  if (!reading) return;
  const beside = other ? ` B: ${read(entry, other)}.` : "";
  byId("verdict").textContent = `${other ? "A: " : ""}${asked(settings)}; ${read(entry, reading)}.${beside}`;
  const wanted = [settings.mix < 1 && settings.class, settings.mix > 0 && settings.to];
  const bars = reading.map((p, k) => {
    const tracks = element("div", {}, bar(p), ...(other ? [bar(other[k])] : []));
    const text = other ? `${percent(p)}, ${percent(other[k])}` : percent(p);
    const name = element("span", { textContent: entry.classes[k] });
    const row = element("div", { className: "bar" }, name, tracks, element("span", { textContent: text }));
    row.classList.toggle("asked", settings.w !== 0 && wanted.includes(entry.classes[k]));
    return row;
  });
  byId("bars").classList.toggle("two", Boolean(other));
  byId("bars").replaceChildren(...bars);
}

/** The label under each of a strip's images. */
export function stripLabels({ strip, class: a, to }) {
  if (strip === "sweep") return SCALES.map((w) => `w = ${w}`);
  return ALPHAS.map((alpha) => (alpha === 0 ? a : alpha === 1 ? to : percent(alpha)));
}

export function stripTitle({ strip, class: a, to, mix, w, seed, steps, sampler, path }) {
  const who = mix === 0 ? `class ${a}` : `${percent(mix)} of the way from ${a} to ${to}`;
  const how = `${plural(steps, `${SAMPLER_NAMES[sampler]} step`)}, seed ${seed}`;
  return strip === "sweep" ? `Guidance sweep, ${who}: ${how}` : `From ${a} to ${to}, ${PATH_NAMES[path]}, w = ${w}: ${how}`;
}

/** A row of images with their labels and readings, or none. */
export function showStrip(entry, strip) {
  byId("strip-save").hidden = !strip;
  if (!strip) {
    tell("The images of a row differ in one setting only. The percentage is the classifier's.", "strip-text");
    byId("strip").replaceChildren();
    return;
  }
  const labels = stripLabels(strip.settings);
  tell(stripTitle(strip.settings), "strip-text");
  const figures = strip.images.map((image, i) => {
    const reading = strip.readings[i];
    const text = reading ? `${entry.classes[best(reading)]}: ${percent(Math.max(...reading))}` : "";
    const caption = element("figcaption", {}, element("b", { textContent: labels[i] }), text);
    return element("figure", {}, picture(image, entry.shape, `${labels[i]}; read as ${text}`), caption);
  });
  byId("strip").replaceChildren(...figures);
}
