// The settings, and the address that holds them: a link shows the same picture.

export const DEFAULTS = {
  model: "digits",
  class: "3",
  to: "8",
  mix: 0, // 0: the first class alone ... 1: the second one alone
  path: "linear",
  w: 4,
  steps: 20, // enough for 8×8 pictures, and quick enough to follow a drag
  sampler: "ddim",
  seed: 2,
  weights: "ema",
  strip: "", // "sweep", "walk" or none
};

const LIMITS = { mix: [0, 1], w: [0, 10], steps: [1, 100], seed: [0, 2 ** 32 - 1] };
const WHOLE = ["steps", "seed"];
const CHOICES = {
  path: ["linear", "spherical"],
  sampler: ["ddim", "dpm++", "ddpm"],
  weights: ["ema", "raw"],
  strip: ["", "sweep", "walk"],
};

/** A value as it may stand in the settings, or undefined where it may not. */
export function accept(name, text) {
  if (name in LIMITS) {
    const [low, high] = LIMITS[name];
    const value = Math.min(high, Math.max(low, Number(text)));
    if (text === "" || Number.isNaN(value)) return undefined;
    return WHOLE.includes(name) ? Math.round(value) : value;
  }
  if (name in CHOICES) return CHOICES[name].includes(text) ? text : undefined;
  return text; // a model or a class: fit() looks those up
}

/** "#class=3&w=4" -> settings; what is absent or makes no sense is the default. */
export function fromAddress(hash) {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  const settings = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    const value = found.has(name) ? accept(name, found.get(name)) : undefined;
    if (value !== undefined) settings[name] = value;
  }
  return settings;
}

export function toAddress(settings) {
  return "#" + new URLSearchParams(settings).toString();
}

/** Settings that name what this checkpoint has: its classes, and raw weights only where it has some. */
export function fit(settings, entry) {
  const known = (name, otherwise) => (entry.classes.includes(name) ? name : otherwise);
  const [a, b] = entry.pairs[0] ?? [entry.classes[0], entry.classes[entry.classes.length - 1]];
  return {
    ...settings,
    model: entry.name,
    class: known(settings.class, a),
    to: known(settings.to, b),
    weights: settings.weights in entry.files ? settings.weights : "ema",
    steps: Math.min(settings.steps, entry.timesteps),
  };
}
