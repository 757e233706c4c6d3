// The settings, and the address that holds them: a link shows the same picture.

export const DEFAULTS = {
  model: "digits",
  class: "3",
  to: "8",
  mix: 0, // 0: the first class alone ... 1: the second one alone
  path: "", // none named: the one that suits the model
  w: 4,
  steps: 20, // enough for 8×8 pictures, and quick enough to follow a drag
  sampler: "ddim",
  seed: 2,
  weights: "ema",
  at: "", // the step seen, "" the last
  strip: "", // "sweep", "walk" or none
  beside: "", // the one setting in which the second picture differs, or none
  other: "", // and the value it has there
  difference: "", // "1" shows the difference of the two
};

const LIMITS = { mix: [0, 1], w: [0, 10], steps: [1, 100], seed: [0, 2 ** 32 - 1], at: [0, 100] };
const WHOLE = ["steps", "seed", "at"];
const CHOICES = {
  path: ["", "linear", "spherical", "scores"],
  sampler: ["ddim", "dpm++", "ddpm"],
  weights: ["ema", "raw"],
  strip: ["", "sweep", "walk"],
  beside: ["", "w", "class", "sampler", "steps", "weights"],
  difference: ["", "1"],
};
export const PATH_NAMES = { linear: "linear", spherical: "spherical", scores: "mixed scores" };
export const SAMPLER_NAMES = { ddim: "DDIM", "dpm++": "DPM-Solver++(2M)", ddpm: "DDPM" };

/** A value as it may stand in the settings, or undefined where it may not. */
export function accept(name, text) {
  if (name === "at" && text === "") return "";
  if (name in LIMITS) {
    const [low, high] = LIMITS[name];
    const value = Math.min(high, Math.max(low, Number(text)));
    if (text === "" || Number.isNaN(value)) return undefined;
    return WHOLE.includes(name) ? Math.round(value) : value;
  }
  if (name in CHOICES) return CHOICES[name].includes(text) ? text : undefined;
  return text; // a model, a class or the other's value: fit() looks those up
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

/** The address of settings; what is switched off is not told. */
export function toAddress(settings) {
  return "#" + new URLSearchParams(Object.entries(settings).filter(([, value]) => value !== "")).toString();
}

/** Whether the network's two answers are mixed on the way, rather than the embeddings: at an end there is one class. */
export function mixesAnswers({ path }, alphas) {
  return path === "scores" && alphas.some((alpha) => alpha > 0 && alpha < 1);
}

/** The path that suits a model. In colour the line leaves grain half-way, which mixed answers do not (lesson 5.3). */
function pathFor({ shape: [channels] }) {
  return channels === 3 ? "scores" : "linear";
}

/** Where a walk from this class may lead: another class, the course's own choice first. */
function partner(name, { classes, pairs }) {
  const pair = pairs.find((p) => p.includes(name));
  return pair ? pair.find((p) => p !== name) : classes.find((c) => c !== name);
}

/** Settings that name what this checkpoint has: two different classes of its own, and only weights that it ships. */
export function fit(settings, entry) {
  const first = entry.classes.includes(settings.class) ? settings.class : (entry.pairs[0]?.[0] ?? entry.classes[0]);
  const known = entry.classes.includes(settings.to) && settings.to !== first;
  const fitted = {
    ...settings,
    model: entry.name,
    class: first,
    to: known ? settings.to : partner(first, entry),
    mix: settings.to === first ? 0 : settings.mix, // between a class and itself there is that class alone
    path: settings.path || pathFor(entry),
    weights: settings.weights in entry.files ? settings.weights : "ema",
    steps: Math.min(settings.steps, entry.timesteps),
  };
  return besideFits(fitted, entry) ? fitted : { ...fitted, beside: "", other: "", difference: "" };
}

function besideFits({ beside, other }, entry) {
  if (beside === "class") return entry.classes.includes(other);
  if (beside === "weights") return other in entry.files && other !== "classifier" && "raw" in entry.files;
  return beside !== "" && accept(beside, other) !== undefined;
}

/** The settings of the picture beside, which differ in one thing alone; null where there is none. */
export function second(settings) {
  if (!settings.beside) return null;
  return { ...settings, [settings.beside]: accept(settings.beside, settings.other), strip: "", beside: "", other: "" };
}

/** What can stand beside, as [value, text] of each. */
export function otherChoices(beside, entry) {
  const same = (values) => values.map((value) => [String(value), String(value)]);
  const choices = {
    w: () => same([0, 1, 2, 4, 6, 8, 10]),
    steps: () => same([1, 2, 5, 10, 20, 50, 100]),
    class: () => same(entry.classes),
    sampler: () => Object.entries(SAMPLER_NAMES),
    weights: () => [["ema", "averaged (EMA)"], ["raw", "raw"]],
  };
  return choices[beside]?.() ?? [];
}

/** A value worth seeing beside the one there is. */
export function otherFor(beside, settings, entry) {
  const liked = { w: ["1", "4"], steps: ["5", "50"], class: [settings.to], sampler: ["dpm++", "ddpm"], weights: ["raw", "ema"] };
  const choices = [...(liked[beside] ?? []), ...otherChoices(beside, entry).map(([value]) => value)];
  return choices.find((value) => value !== String(settings[beside])) ?? "";
}
