// The page: settings in, pictures out. What is drawn is decided in generate.js; here it is asked for and shown.
import { connectControls, showControls, showModel } from "./controls.js";
import { evaluations, imageSteps, last, seededNoise, stripSteps } from "./generate.js";
import { offerModel } from "./models.js";
import { wireSaving } from "./saving.js";
import { fit, fromAddress, toAddress } from "./settings.js";
import { byId, showFilm, showFrame, showNothing, showReading, showStrip, tell } from "./views.js";
import { item } from "./vectors.js";

const PATIENCE = 400; // milliseconds: a picture that takes longer is given up for newer settings
const LONG = 10_000; // milliseconds: a strip that takes longer is drawn when asked for, not after every change
const page = {
  manifest: null, settings: null, model: null, // what there is, what is wanted, what runs
  shown: null, frames: [], strip: null, at: null, // settings and steps drawn; `at` is the step seen, null the last
  rate: 2e6, // multiplications a millisecond: a guess, until the first picture has been timed
  firstAfter: null, // milliseconds from the page's beginning to its first picture
};
let wanted = 0; // counts what was asked for ...
let drawn = 0; // ... and what has been drawn, so that of many requests during one run the last is met
let running = null;
let slow = false;

const milliseconds = (entry, settings) => (evaluations(settings) * entry.macs) / page.rate;
const overtaken = (mine) => mine !== wanted;

/** Every step on the way to the picture, shown as it comes; false where newer settings came in between. */
async function drawImage(mine) {
  const { model, settings } = page;
  const { entry } = model;
  const begun = performance.now();
  const noise = seededNoise(settings.seed, model.size);
  const frames = [];
  let before = noise.initial(1);
  for await (const { t, xt, x0 } of imageSteps(model, entry, settings, noise)) {
    if (overtaken(mine) && slow) return false;
    frames.push({ t, xt: before, x0 });
    before = xt;
    if (slow && page.at === null) showFrame(entry, frames, frames.length - 1, settings.steps);
  }
  frames.push({ t: null, xt: before, x0: before });
  const took = performance.now() - begun;
  slow = took > PATIENCE;
  page.rate = (evaluations({ ...settings, strip: "" }) * entry.macs) / took;
  [page.frames, page.shown] = [frames, settings];
  page.firstAfter ??= performance.now();
  showFilm(entry, frames);
  showStep(page.at);
  const read = await readings(model, frames.map(({ x0 }) => x0));
  frames.forEach((frame, i) => (frame.reading = read[i]));
  showStep(page.at);
  tell(`${settings.steps} steps in ${(took / 1000).toFixed(took < 1000 ? 2 : 1)} s`);
  return true;
}

/** The classifier's answers to some images, or none where there is no classifier for them. */
async function readings(model, images) {
  const classifier = await model.classifier();
  if (!classifier) return images.map(() => null);
  const all = new Float32Array(images.length * images[0].length);
  images.forEach((image, i) => all.set(image, i * image.length));
  return classifier(all);
}

async function drawStrip(mine) {
  const { model, settings } = page;
  const seconds = milliseconds(model.entry, settings) / 1000;
  tell(`Drawing the strip: about ${Math.max(1, Math.round(seconds))} s`, "strip-text");
  let images = null;
  for await (const { xt } of stripSteps(model, model.entry, settings)) {
    if (overtaken(mine)) return;
    images = xt;
  }
  const n = images.length / model.size;
  const each = Array.from({ length: n }, (_, i) => item(images, i, n));
  page.strip = { images: each, settings, readings: await readings(model, each) };
  showStrip(model.entry, page.strip);
}

function showStep(at) {
  page.at = at;
  if (!page.frames.length) return;
  const { entry } = page.model;
  const i = Math.min(at ?? page.frames.length - 1, page.frames.length - 1);
  showFrame(entry, page.frames, i, page.frames.length - 1);
  showReading(entry, page.shown, page.frames[i].reading);
}

/** Nothing of another model stays on the page while a large one waits to be loaded. */
function clear() {
  [page.frames, page.strip] = [[], null];
  showNothing();
  showStrip(null, null);
}

async function drawAll() {
  while (drawn !== wanted) {
    const mine = wanted;
    try {
      tell("", "error");
      page.model = await offerModel(page, milliseconds);
      if (page.model) {
        if (!overtaken(mine) || !slow) await drawImage(mine);
        if (page.settings.strip && !overtaken(mine)) await drawStrip(mine);
      } else {
        clear();
      }
    } catch (error) {
      tell(`That did not work: ${error.message}`, "error");
    }
    drawn = mine;
  }
  running = null;
}

/** Draw what the settings say, as soon as what is being drawn is done. */
function redraw() {
  wanted++;
  running ??= drawAll();
  return running;
}

let writing;
function writeAddress() {
  clearTimeout(writing); // browsers allow few changes of the address a second
  writing = setTimeout(() => history.replaceState(null, "", toAddress(page.settings)), 200);
}

/** Take over some settings, show them and draw. */
function change(some) {
  const { models } = page.manifest;
  const entry = models.find(({ name }) => name === (some.model ?? page.settings.model)) ?? models[0];
  page.settings = fit({ ...page.settings, ...some }, entry);
  if (!("strip" in some) && milliseconds(entry, page.settings) > LONG) page.settings.strip = "";
  if (!page.settings.strip) page.strip = null;
  showModel(page.manifest, entry, milliseconds(entry, { ...page.settings, strip: "" }));
  showControls(page.settings, entry);
  if (!page.strip) showStrip(entry, null);
  writeAddress();
  return redraw();
}

async function start() {
  page.manifest = await (await fetch("./models/manifest.json")).json();
  page.settings = fromAddress(location.hash);
  connectControls(page, { change, showStep, redraw });
  wireSaving(page, () => toAddress(page.settings));
  window.addEventListener("hashchange", () => change(fromAddress(location.hash)));
  if (location.pathname.includes("/playground/")) {
    // in its place in the site, beside the lessons
    for (const { title, href } of await (await fetch("./lessons.json")).json()) {
      byId("lessons").append(Object.assign(document.createElement("a"), { textContent: title, href }));
    }
    byId("lessons").hidden = false;
  }
  await change({});
}

/** For tests, and for the curious in the console: images from noise of one's own. */
window.playground = {
  page,
  idle: async () => {
    await started;
    while (running) await running;
  },
  /** settings and { initial: [...], step: { t: [...] } } -> the image (C·H·W) that the page would draw. */
  sample: async (settings, noise) => {
    const own = noise && {
      initial: () => Float32Array.from(noise.initial),
      step: (t) => Float32Array.from(noise.step[t]),
    };
    return last(imageSteps(page.model, page.model.entry, { ...page.settings, ...settings }, own));
  },
};

const started = start().catch((error) => tell(`The page could not start: ${error.message}`, "error"));
