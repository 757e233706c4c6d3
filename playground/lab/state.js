// What the page shows, and the address that holds it: a link shows the same plane.
import { CLASSES, mixtureOf, PRESETS } from "./mixture.js";
import { LAST, SAMPLERS } from "./samplers.js";

export const VIEWS = {
  guidance: "Guidance",
  forward: "Forward process",
  scores: "Score field",
  paths: "Straight or curved",
};

export const DEFAULTS = {
  view: "guidance",
  y: "A",
  w: 4,
  t: 0,
  sampler: "dpm++",
  steps: 32,
  seed: 1,
  trails: false,
  field: "guided",
  ways: "pairs",
  modes: "lesson", // a preset's name, or x,y,spread,share,class of each mode
};

const LIMITS = { w: [0, 10], t: [0, LAST], steps: [1, 100], seed: [0, 2 ** 32 - 1] };
const CHOICES = {
  view: Object.keys(VIEWS),
  y: CLASSES,
  sampler: Object.keys(SAMPLERS),
  field: ["u", "c", "difference", "guided"],
  ways: ["pairs", "sampler"],
};
export const MODE_LIMITS = { x: [-1.9, 1.9], y: [-1.2, 1.2], spread: [0.08, 0.6], share: [0.05, 1] };
export const MOST_MODES = 8;

const within = ([low, high], value) => Math.min(high, Math.max(low, value));

/** A value as it may stand in the state, or undefined where it may not. */
function accept(name, text) {
  if (name in LIMITS) {
    if (text === "" || Number.isNaN(Number(text))) return undefined;
    const value = within(LIMITS[name], Number(text));
    return name === "w" ? value : Math.round(value);
  }
  if (name in CHOICES) return CHOICES[name].includes(text) ? text : undefined;
  if (name === "trails") return text === "true";
  return mixtureFrom(text) ? text : undefined;
}

/** A preset's name or the text of a mixture -> the mixture; null where it is neither. */
export function mixtureFrom(text) {
  if (Object.hasOwn(PRESETS, text)) return PRESETS[text];
  const modes = text.split(";").map((part) => {
    const numbers = part.split(",").map(Number);
    if (numbers.length !== 5 || numbers.some(Number.isNaN) || !(numbers[4] in CLASSES)) return null;
    return limited({ x: numbers[0], y: numbers[1], spread: numbers[2], share: numbers[3], owner: numbers[4] });
  });
  return modes.includes(null) || modes.length > MOST_MODES ? null : mixtureOf(modes);
}

/** A mode whose numbers the page can show. */
export function limited(mode) {
  const numbers = Object.entries(MODE_LIMITS).map(([name, range]) => [name, within(range, mode[name])]);
  return { ...mode, ...Object.fromEntries(numbers) };
}

export function mixtureText(mixture) {
  const short = (value) => String(Math.round(value * 1000) / 1000);
  return mixture.map((m) => [m.x, m.y, m.spread, m.share, m.owner].map(short).join(",")).join(";");
}

/** "#w=4&t=400" -> state; what is absent or makes no sense is the default. */
export function fromAddress(hash) {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    const value = found.has(name) ? accept(name, found.get(name)) : undefined;
    if (value !== undefined) state[name] = value;
  }
  return fit(state);
}

/** The address of a state: what differs from the defaults. */
export function toAddress(state) {
  const told = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
  return "#" + new URLSearchParams(told.map(([name, value]) => [name, name === "t" ? Math.round(value) : value]));
}

/** A state whose class the mixture has. */
export function fit(state) {
  const owners = mixtureFrom(state.modes).map((m) => CLASSES[m.owner]);
  return owners.includes(state.y) ? state : { ...state, y: owners[0] };
}
