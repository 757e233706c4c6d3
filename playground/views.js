// What the page shows: the two large pictures, the classifier's reading, the film and the strips.
import { ALPHAS, SCALES } from "./generate.js";
import { paint, picture } from "./pictures.js";

export const byId = (id) => document.getElementById(id);
export const percent = (p) => `${Math.round(100 * p)} %`;
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

/** Step i of n: the noisy image and the estimate, large. */
export function showFrame(entry, frames, i, n) {
  const { t, xt, x0 } = frames[i];
  paint(byId("xt"), xt, entry.shape);
  paint(byId("x0"), x0, entry.shape);
  const slider = byId("at");
  slider.max = n;
  slider.value = i;
  byId("at-text").textContent = t === null ? `after ${n} steps` : `step ${i}, t = ${t}`;
  slider.setAttribute("aria-valuetext", byId("at-text").textContent);
  for (const figure of byId("film").children) figure.classList.toggle("now", Number(figure.dataset.step) === i);
}

/** No picture at all. */
export function showNothing() {
  for (const id of ["xt", "x0"]) byId(id).getContext("2d").clearRect(0, 0, byId(id).width, byId(id).height);
  byId("film").replaceChildren();
  byId("at-text").textContent = "";
  byId("reading").hidden = true;
}

/** How many columns the film has: the first step, the picture, and steps between at equal distances. */
export function filmSteps(count, columns = 10) {
  const n = Math.min(columns, count);
  return n === 1 ? [count - 1] : Array.from({ length: n }, (_, i) => Math.round((i * (count - 1)) / (n - 1)));
}

export function showFilm(entry, frames) {
  const columns = filmSteps(frames.length).map((i) => {
    const { t, xt, x0 } = frames[i];
    const label = t === null ? "picture" : `t = ${t}`;
    const figure = element(
      "figure", {}, picture(xt, entry.shape, `Image at ${label}`), picture(x0, entry.shape, `Estimate at ${label}`),
      element("figcaption", { textContent: label }),
    );
    figure.dataset.step = i;
    return figure;
  });
  byId("film").replaceChildren(...columns);
}

/** What was asked for, in words. */
export function asked({ class: a, to, mix, w }) {
  if (w === 0) return "w = 0 asks for no class";
  if (mix === 0) return `Asked for ${a}`;
  return mix === 1 ? `Asked for ${to}` : `Asked for ${percent(mix)} of the way from ${a} to ${to}`;
}

/** The classifier's probabilities as a sentence and as bars; hidden where there is no classifier (null). */
export function showReading(entry, settings, reading) {
  if (reading === undefined) return; // not read yet
  byId("reading").hidden = !reading;
  if (!reading) return;
  const i = best(reading);
  const reads = `the classifier reads ${entry.classes[i]} with ${percent(reading[i])}`;
  byId("verdict").textContent = `${asked(settings)}; ${reads}.`;
  const wanted = [settings.mix < 1 && settings.class, settings.mix > 0 && settings.to];
  const bars = reading.map((p, k) => {
    const fill = element("i", {});
    fill.style.width = percent(p).replace(" ", "");
    const name = element("span", { textContent: entry.classes[k] });
    const row = element("div", { className: "bar" }, name, element("div", { className: "track" }, fill));
    row.append(element("span", { textContent: percent(p) }));
    row.classList.toggle("asked", settings.w !== 0 && wanted.includes(entry.classes[k]));
    return row;
  });
  byId("bars").style.gridTemplateRows = `repeat(${Math.ceil(bars.length / 2)}, auto)`; // two columns, read downwards
  byId("bars").replaceChildren(...bars);
}

/** The label under each of a strip's images. */
export function stripLabels({ strip, class: a, to }) {
  if (strip === "sweep") return SCALES.map((w) => `w = ${w}`);
  return ALPHAS.map((alpha) => (alpha === 0 ? a : alpha === 1 ? to : percent(alpha)));
}

export function stripTitle({ strip, class: a, to, mix, w, seed, steps, sampler, path }) {
  const who = mix === 0 ? `class ${a}` : `${percent(mix)} from ${a} to ${to}`;
  const how = `${steps} ${sampler} steps, seed ${seed}`;
  return strip === "sweep" ? `Guidance sweep, ${who}: ${how}` : `From ${a} to ${to}, ${path}, w = ${w}: ${how}`;
}

/** A row of images with their labels and readings, or none. */
export function showStrip(entry, strip) {
  byId("strip-save").hidden = !strip;
  if (!strip) {
    tell("A row that differs in one thing alone; the percentage is the classifier's.", "strip-text");
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
