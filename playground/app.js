// The page: settings in, pictures out. What is drawn is decided in draw.js; here it is asked for, in order.
import { connectControls, showControls, showModel } from "./controls.js";
import { drawImage, drawStrip, readings } from "./draw.js";
import { evaluations, imageSteps, last } from "./generate.js";
import { duration, offer, offerModel, reason } from "./models.js";
import { isRecorded, loadOpening } from "./opening.js";
import { wirePlay } from "./play.js";
import { wireSaving } from "./saving.js";
import { DEFAULTS, fit, fromAddress, second, toAddress } from "./settings.js";
import { milliseconds, page, showStep, showWaiting, take } from "./stage.js";
import "./theme.js";
import { markTry, showTries } from "./tries.js";
import { byId, plural, showStrip, tell } from "./views.js";

const PATIENCE = 400; // milliseconds: a picture that takes longer is given up for newer settings
const LONG = 10_000; // milliseconds: a strip that takes longer is drawn when asked for, not after every change
let wanted = 0; // counts what was asked for ...
let drawn = 0; // ... and what has been drawn, so that of many requests during one run the last is met
let running = null;
let slow = false;
let film = null;

/** The picture, and the one beside it, from the same noise; false where newer settings came in between. */
async function drawPictures(mine, model, beside) {
  const { settings } = page;
  const { entry } = model;
  const stop = () => mine !== wanted && slow;
  const moving = (frames) => {
    if (!slow || page.at !== null || frames.length < 2) return;
    Object.assign(page, { entry, frames, other: null, shown: settings });
    showStep(null);
  };
  const begun = performance.now();
  const frames = await drawImage(model, settings, stop, moving);
  if (!frames) return false;
  slow = performance.now() - begun > PATIENCE;
  page.drawnAfter ??= performance.now();
  byId("recorded").hidden = true;
  take({ entry, settings, frames, other: null });
  const other = beside && (await drawImage(beside, second(settings), stop, () => {}));
  if (beside && !other) return false;
  const took = performance.now() - begun;
  const asked = [settings, other && second(settings)].filter(Boolean);
  page.rates[entry.name] = (asked.reduce((n, one) => n + evaluations({ ...one, strip: "" }), 0) * entry.macs) / took;
  page.live = { entry, settings, frames, other };
  take(page.live);
  showModel(page.manifest, entry, milliseconds(entry, { ...settings, strip: "" }));
  const what = other ? "Two pictures" : plural(settings.steps, "step");
  tell(`${what} in ${duration(took)}, computed here.`);
  for (const [way, of] of [[frames, model], [other, beside]]) {
    const read = way ? await readings(of, way.map(({ x0 }) => x0)) : [];
    read.forEach((reading, i) => (way[i].reading = reading));
  }
  showStep(page.at);
  return true;
}

async function drawRow(mine, model) {
  tell(`Drawing the strip: about ${duration(milliseconds(model.entry, page.settings))}`, "strip-text");
  const strip = await drawStrip(model, page.settings, () => mine !== wanted);
  if (strip) showStrip(model.entry, (page.strip = strip));
}

/** The model of some settings; its errors are marked as those of loading. */
async function model(settings, before) {
  try {
    return await offerModel(page, settings, before);
  } catch (error) {
    throw Object.assign(error, { loading: true });
  }
}

async function draw(mine) {
  const { settings } = page;
  const [other, before] = [second(settings), () => showWaiting(settings)];
  const first = await model(settings, before);
  const beside = first && other && (await model(other, before));
  if (!first || (other && !beside)) return;
  page.model = first;
  if (mine !== wanted && slow) return;
  if ((await drawPictures(mine, first, beside)) && settings.strip && mine === wanted) await drawRow(mine, first);
}

/** Say what failed and offer it again; what is there stays, under its own settings. */
function failed(error, settings) {
  const what = error.loading ? `${settings.model} could not be loaded: ${reason(error)}.` : `That did not work: ${error.message}`;
  tell("");
  if (page.live) {
    setSettings({ ...page.live.settings, strip: "" });
    take(page.live);
  }
  tell(page.live ? `${what} The picture shown is still from ${page.live.entry.name}.` : what, "error");
  offer("Try again", () => change(settings));
}

async function drawAll() {
  while (drawn !== wanted) {
    const mine = wanted;
    const { settings } = page;
    try {
      await draw(mine);
    } catch (error) {
      if (mine === wanted) failed(error, settings);
    }
    drawn = mine;
  }
  running = null;
}

/** Draw what the settings say, as soon as what is being drawn is done. */
function redraw() {
  wanted++;
  tell("", "error");
  running ??= drawAll();
  return running;
}

let writing;
function writeAddress() {
  clearTimeout(writing); // browsers allow few changes of the address a second
  writing = setTimeout(() => history.replaceState(null, "", toAddress(page.settings)), 200);
}

/** Make the page's controls and its address those of the settings. */
function setSettings(settings) {
  const { models } = page.manifest;
  const entry = models.find(({ name }) => name === settings.model) ?? models[0];
  page.settings = fit(settings, entry);
  page.at = page.settings.at === "" ? null : page.settings.at;
  if (!page.settings.strip) page.strip = null;
  showModel(page.manifest, entry, milliseconds(entry, { ...page.settings, strip: "" }));
  showControls(page.settings, entry);
  markTry(toAddress(page.settings));
  if (!page.strip) showStrip(entry, null);
  writeAddress();
  return entry;
}

/** Take over some settings, show them and draw. */
function change(some) {
  film.stop();
  const entry = setSettings({ ...page.settings, ...some });
  if (!("strip" in some) && milliseconds(entry, page.settings) > LONG) setSettings({ ...page.settings, strip: "" });
  return redraw();
}

/** Another step of what is drawn; the address tells of it. */
function see(at) {
  film.stop();
  page.settings.at = at ?? "";
  showStep(at);
  writeAddress();
}

/** In its place in the site, beside the lessons. */
async function linkLessons() {
  for (const { title, href } of await (await fetch("./lessons.json")).json()) {
    byId("lessons").append(Object.assign(document.createElement("a"), { textContent: title, href }));
  }
  byId("lessons").hidden = false;
}

async function start() {
  const read = async (file) => (await fetch(file)).json();
  [page.manifest, page.opening] = await Promise.all([read("./models/manifest.json"), loadOpening()]);
  Object.assign(page, { redraw, see, settings: { ...DEFAULTS } });
  film = wirePlay(page, showStep, see);
  connectControls(page, change);
  wireSaving(page, () => toAddress(page.settings));
  showTries(byId("tries"), page.manifest);
  window.addEventListener("hashchange", () => change(fromAddress(location.hash)));
  if (self !== top) document.documentElement.dataset.embedded = ""; // the page around it has a header and links
  else if (location.pathname.includes("/playground/")) linkLessons();
  const bare = location.hash.length < 2 && page.opening;
  const run = change(bare ? { ...DEFAULTS, ...page.opening.settings } : fromAddress(location.hash));
  const first = page.at === null && isRecorded(page.opening, page.settings);
  if (first && !matchMedia("(prefers-reduced-motion: reduce)").matches) film.play();
  await run;
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

const started = start().catch((error) => tell(`The page could not start: ${reason(error)}. Reload it to try again.`, "error"));
