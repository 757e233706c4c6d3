// The state of the page, and what of it stands on the stage.
import { startingFrame } from "./draw.js";
import { evaluations } from "./generate.js";
import { isRecorded } from "./opening.js";
import { showPanes } from "./panes.js";
import { second } from "./settings.js";
import { clearParts, explain, showParts } from "./step.js";
import { byId, showAt, showFilm, showReading, showStrip, tell } from "./views.js";

export const page = {
  manifest: null, opening: null, settings: null, // what there is, and what is wanted
  model: null, entry: null, // what runs, and whose pictures are seen
  shown: null, frames: [], other: null, strip: null, at: null, // what is drawn; `at` is the step seen, null the last
  live: null, // what the model drew last, to come back to: { entry, settings, frames, other }
  rates: {}, // multiplications a millisecond, by model: what its last picture took
  firstAfter: null, drawnAfter: null, // milliseconds from the page's beginning to what it shows, and draws, first
  redraw: null, see: null, // what the controls call: draw what the settings say, look at a step
};

/** What settings will take with a model, in milliseconds; null before it has drawn a picture. */
export function milliseconds(entry, settings) {
  const rate = page.rates[entry.name];
  const other = second(settings);
  return rate ? ((evaluations(settings) + (other ? evaluations(other) : 0)) * entry.macs) / rate : null;
}

/** Step `at` of what is drawn, null for the finished picture, in every view that there is of it. */
export function showStep(at) {
  page.at = at;
  const { frames, entry, shown } = page;
  const i = Math.min(at ?? frames.length - 1, frames.length - 1);
  showAt(frames, i);
  showPanes(entry, shown, frames, i, page.other);
  const whole = frames.length > 1; // not the starting noise alone
  for (const id of ["step-box", "way"]) {
    byId(id).hidden = false;
    byId(id).classList.toggle("waiting", !whole);
  }
  byId("play").disabled = byId("at").disabled = !whole;
  if (!whole) {
    clearParts(byId("step"));
    tell("Once the network is loaded, each step is taken apart: with the class, without it, and what their difference adds.", "step-text");
    return;
  }
  showParts(byId("step"), entry, frames, i, shown);
  tell(explain(frames[Math.min(i, frames.length - 2)], entry, shown), "step-text");
  showReading(entry, shown, frames[i].reading, page.other?.at(-1).reading);
}

/** Take over what is drawn, and show it. */
export function take(drawn) {
  const { entry, settings, frames, other } = drawn;
  Object.assign(page, { entry, frames, other, shown: settings });
  showFilm(entry, frames, (at) => page.see(at));
  showStep(page.at);
}

/** What can be seen before a model is there: the recording, where these settings were recorded, or the first noise. */
export function showWaiting(settings) {
  const entry = page.manifest.models.find(({ name }) => name === settings.model);
  const recorded = isRecorded(page.opening, settings);
  page.strip = null;
  byId("reading").hidden = true;
  take({ entry, settings, frames: recorded ? page.opening.frames : [startingFrame(entry, settings)], other: null });
  showStrip(entry, null);
  byId("recorded").hidden = !recorded;
  page.firstAfter ??= performance.now();
}
