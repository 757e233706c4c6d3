// The controls: what they show of the state, and what they change in it.
import { CLASSES, mixtureOf, PRESETS } from "./mixture.js";
import { mixtureOfState } from "./model.js";
import { LAST, SAMPLERS } from "./samplers.js";
import { limited, MODE_LIMITS, MOST_MODES, mixtureText, VIEWS } from "./state.js";
import { ARROWS } from "./views.js";

export const byId = (id) => document.getElementById(id);
const PRESET_TITLES = { lesson: "lesson 5.2", pair: "two that overlap", ring: "ring of eight" };
const MODE_TITLES = { x: "x", y: "y", spread: "spread", share: "share" };

export function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

const options = (select, titles) =>
  select.replaceChildren(
    ...Object.entries(titles).map(([value, textContent]) => element("option", { value, textContent })),
  );

/** Radio buttons that look like chips. */
function chips(id, titles) {
  const labels = Object.entries(titles).map(([value, title]) =>
    element("label", {}, element("input", { type: "radio", name: id, value }), title),
  );
  byId(id).replaceChildren(...labels);
}

/** Fill what depends on no state, and report changes: on(changes), select(mode) and togglePlay(). */
export function connectControls(page, { on, select, togglePlay }) {
  chips("view", VIEWS);
  chips("y", Object.fromEntries(CLASSES.map((name) => [name, name])));
  options(byId("sampler"), Object.fromEntries(Object.entries(SAMPLERS).map(([name, { title }]) => [name, title])));
  options(byId("owner"), Object.fromEntries(CLASSES.map((name, k) => [k, name])));
  byId("sliders").replaceChildren(...Object.keys(MODE_TITLES).map(modeSlider));
  byId("arrows").replaceChildren(...ARROWS.map(arrowLine));
  const listen = (id, event, act) => byId(id).addEventListener(event, act);
  for (const id of ["view", "y"]) listen(id, "change", (e) => on({ [id]: e.target.value }));
  for (const id of ["w", "t", "steps"]) listen(id, "input", (e) => on({ [id]: Number(e.target.value) }));
  for (const id of ["sampler", "field", "ways"]) listen(id, "change", (e) => on({ [id]: e.target.value }));
  listen("trails", "change", (e) => on({ trails: e.target.checked }));
  listen("dice", "click", () => on({ seed: page.state.seed + 1, t: LAST }, true));
  listen("play", "click", togglePlay);
  listen("preset", "change", (e) => e.target.value && on({ modes: e.target.value }));
  listen("mode", "change", (e) => select(Number(e.target.value)));
  listen("owner", "change", (e) => changeMode(page, on, { owner: Number(e.target.value) }));
  for (const name of Object.keys(MODE_TITLES)) {
    listen(`mode-${name}`, "input", (e) => changeMode(page, on, { [name]: Number(e.target.value) }));
  }
  listen("add", "click", () => {
    const modes = mixtureOfState(page.state);
    select(modes.length);
    on({ modes: mixtureText(mixtureOf([...modes, { x: 0, y: 0.9, spread: 0.22, share: 0.25, owner: 1 }])) });
  });
  listen("remove", "click", () => {
    const modes = mixtureOfState(page.state).filter((_, i) => i !== page.chosen);
    select(0);
    on({ modes: mixtureText(mixtureOf(modes)) });
  });
  byId("controls").addEventListener("submit", (e) => e.preventDefault());
}

/** Change the chosen mode; `on` hears of the new mixture. */
export function changeMode(page, on, some) {
  const modes = mixtureOfState(page.state).map((m, i) => (i === page.chosen ? limited({ ...m, ...some }) : m));
  on({ modes: mixtureText(mixtureOf(modes)) });
}

function modeSlider(name) {
  const [min, max] = MODE_LIMITS[name];
  const id = `mode-${name}`;
  return element(
    "div",
    { className: "slide" },
    element("label", { htmlFor: id, textContent: MODE_TITLES[name] }),
    element("input", { type: "range", id, min, max, step: 0.01 }),
    element("output", { id: `${id}-text`, htmlFor: id }),
  );
}

function arrowLine({ name, title, colour }) {
  const swatch = element("i", {});
  swatch.style.background = `var(--${colour})`;
  return element("li", {}, swatch, title, element("b", { id: `arrow-${name}` }));
}

/** Show a number beside its slider. */
function slider(id, value, text = String(value)) {
  byId(id).value = value;
  byId(`${id}-text`).textContent = text;
  byId(id).setAttribute("aria-valuetext", text);
}

/** t alone: all that changes while the points move. */
export function showTime(s) {
  slider("t", Math.round(s.t));
}

/** All controls, as the state has them. */
export function showControls(page) {
  const s = page.state;
  const modes = mixtureOfState(s);
  showTime(s);
  for (const id of ["view", "y"]) document.querySelector(`input[name=${id}][value="${s[id]}"]`).checked = true;
  CLASSES.forEach((name, k) => {
    document.querySelector(`input[name=y][value=${name}]`).disabled = !modes.some((m) => m.owner === k);
  });
  slider("w", s.w, s.w.toFixed(1));
  slider("steps", s.steps, `${s.steps} ${s.steps === 1 ? "step" : "steps"}`);
  for (const id of ["sampler", "field", "ways"]) byId(id).value = s[id];
  byId("trails").checked = s.trails;
  for (const box of document.querySelectorAll("[data-views]"))
    box.hidden = !box.dataset.views.split(" ").includes(s.view);
  options(byId("preset"), s.modes in PRESETS ? PRESET_TITLES : { "": "your own", ...PRESET_TITLES });
  byId("preset").value = s.modes in PRESETS ? s.modes : "";
  options(byId("mode"), Object.fromEntries(modes.map((m, i) => [i, `${i + 1} (${CLASSES[m.owner]})`])));
  byId("mode").value = page.chosen;
  const mode = modes[page.chosen];
  byId("owner").value = mode.owner;
  for (const name of Object.keys(MODE_TITLES)) slider(`mode-${name}`, mode[name], mode[name].toFixed(2));
  byId("add").disabled = modes.length >= MOST_MODES;
  byId("remove").disabled = modes.length === 1;
}
