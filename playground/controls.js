// The controls: what they show, and what they ask for. All are the browser's own, so all work from the keyboard.
import { duration, megabytes } from "./models.js";
import { accept } from "./settings.js";
import { byId, percent } from "./views.js";

function options(select, pairs) {
  const signature = JSON.stringify(pairs);
  if (select.dataset.options === signature) return;
  select.dataset.options = signature;
  select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
}

function chips(box, name, classes) {
  if (box.dataset.options === classes.join()) return;
  box.dataset.options = classes.join();
  box.replaceChildren(
    ...classes.map((value) => {
      const label = document.createElement("label");
      label.append(Object.assign(document.createElement("input"), { type: "radio", name, value }), value);
      return label;
    }),
  );
}

/** The models to choose from, with the size and the time of the one chosen. */
export function showModel(manifest, entry, ms) {
  byId("model-box").hidden = manifest.models.length < 2;
  options(byId("model"), manifest.models.map(({ name, shape, files }) => [
    name, `${name}, ${shape[2]}×${shape[1]} pixels, ${megabytes(files.ema.bytes)}`,
  ]));
  byId("model").value = entry.name;
  byId("model-hint").textContent = `About ${duration(ms)} a picture on this machine, with these settings.`;
}

/** Make every control show the settings. */
export function showControls(settings, entry) {
  chips(byId("class"), "class", entry.classes);
  options(byId("to"), entry.classes.map((name) => [name, name]));
  options(byId("pair"), [["", "pairs …"], ...entry.pairs.map((pair) => [pair.join("|"), pair.join(" → ")])]);
  byId("pair").hidden = !entry.pairs.length;
  byId("steps").max = Math.min(100, entry.timesteps);
  for (const name of ["w", "mix", "seed", "steps", "sampler", "to"]) {
    if (byId(name) !== document.activeElement || byId(name).type !== "number") byId(name).value = settings[name];
  }
  for (const name of ["class", "path", "weights"]) {
    for (const radio of document.getElementsByName(name)) radio.checked = radio.value === settings[name];
  }
  byId("weights").hidden = !("raw" in entry.files);
  byId("w-text").textContent = settings.w.toFixed(1);
  byId("mix-text").textContent = percent(settings.mix);
  const share = `${percent(settings.mix)} of the way from ${settings.class} to ${settings.to}`;
  byId("mix").setAttribute("aria-valuetext", share);
  byId("steps-text").textContent = settings.steps;
  byId("sweep").setAttribute("aria-pressed", settings.strip === "sweep");
  byId("walk").setAttribute("aria-pressed", settings.strip === "walk");
}

/** Replays the steps that there are, about two seconds from noise to picture. */
function wirePlay(page, showStep) {
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    byId("play").textContent = "Play";
  };
  byId("play").addEventListener("click", () => {
    if (timer) return stop();
    let i = 0;
    byId("play").textContent = "Pause";
    timer = setInterval(() => {
      showStep(i < page.frames.length - 1 ? i++ : null);
      if (page.at === null) stop();
    }, Math.max(40, 2000 / page.frames.length));
  });
  byId("at").addEventListener("input", ({ target }) => {
    stop();
    showStep(Number(target.value) === Number(target.max) ? null : Number(target.value));
  });
}

/** change(settings) draws anew, showStep(i or null) shows a step of what is drawn. */
export function connectControls(page, { change, showStep, redraw }) {
  page.redraw = redraw;
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("controls").addEventListener("input", ({ target }) => {
    if (target.id === "pair") {
      const [from, to] = target.value.split("|");
      if (to) change({ class: from, to, mix: 0.5 });
      target.value = "";
      return;
    }
    const name = target.name || target.id;
    const value = accept(name, target.value);
    if (value !== undefined) change({ [name]: value });
  });
  byId("dice").addEventListener("click", () => change({ seed: crypto.getRandomValues(new Uint16Array(1))[0] }));
  for (const strip of ["sweep", "walk"]) {
    byId(strip).addEventListener("click", () => change({ strip: page.settings.strip === strip ? "" : strip }));
  }
  wirePlay(page, showStep);
}
