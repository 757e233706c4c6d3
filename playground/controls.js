// The controls: what they show, and what they ask for. All are the browser's own, so all work from the keyboard.
import { duration, megabytes } from "./models.js";
import { accept, otherChoices, otherFor } from "./settings.js";
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

/** The models to choose from, with their sizes; the time of the one chosen (ms), once it has been measured. */
export function showModel(manifest, entry, ms) {
  byId("model-box").hidden = manifest.models.length < 2;
  options(byId("model"), manifest.models.map(({ name, shape, files }) => [
    name, `${name}, ${shape[2]}×${shape[1]} pixels, ${megabytes(files.ema.bytes)}`,
  ]));
  byId("model").value = entry.name;
  byId("model-hint").textContent =
    ms === null ? "The time for a picture is shown after the first one." : `About ${duration(ms)} for these settings on this machine.`;
}

const BESIDE = [["", "nothing"], ["w", "another w"], ["class", "another class"], ["sampler", "another sampler"]];
const MORE = [["steps", "another number of steps"], ["weights", "the other weights"]];

function showBeside(settings, entry) {
  options(byId("beside"), [...BESIDE, ...MORE].filter(([name]) => name !== "weights" || "raw" in entry.files));
  byId("beside").value = settings.beside;
  const choices = otherChoices(settings.beside, entry);
  if (settings.beside && !choices.some(([value]) => value === settings.other)) choices.unshift([settings.other, settings.other]);
  options(byId("other-value"), choices);
  byId("other-value").value = settings.other;
  byId("other-box").hidden = !settings.beside;
  byId("difference").checked = settings.difference === "1";
}

/** Make every control show the settings. */
export function showControls(settings, entry) {
  chips(byId("class"), "class", entry.classes);
  options(byId("to"), entry.classes.filter((name) => name !== settings.class).map((name) => [name, name]));
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
  showBeside(settings, entry);
  byId("w-text").textContent = settings.w.toFixed(1);
  byId("mix-text").textContent = percent(settings.mix);
  const share = `${percent(settings.mix)} of the way from ${settings.class} to ${settings.to}`;
  byId("mix").setAttribute("aria-valuetext", share);
  byId("steps-text").textContent = settings.steps;
  byId("sweep").setAttribute("aria-pressed", settings.strip === "sweep");
  byId("walk").setAttribute("aria-pressed", settings.strip === "walk");
}

/** What a control asks for: settings, or nothing where its value makes no sense. */
function asks(target, page) {
  const { settings, manifest } = page;
  if (target.id === "beside") {
    const entry = manifest.models.find(({ name }) => name === settings.model);
    return { beside: target.value, other: otherFor(target.value, settings, entry) };
  }
  if (target.id === "difference") return { difference: target.checked ? "1" : "" };
  if (target.id === "model") return { model: target.value, path: "" }; // each has a path that suits it
  const name = target.name || target.id;
  const value = accept(name, target.value);
  return value === undefined ? null : { [name]: value };
}

/** change(settings) draws anew. */
export function connectControls(page, change) {
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("controls").addEventListener("input", ({ target }) => {
    if (target.id === "pair") {
      const [from, to] = target.value.split("|");
      if (to) change({ class: from, to, mix: 0.5 });
      target.value = "";
      return;
    }
    const asked = asks(target, page);
    if (asked) change(asked);
  });
  byId("dice").addEventListener("click", () => change({ seed: crypto.getRandomValues(new Uint16Array(1))[0] }));
  for (const strip of ["sweep", "walk"]) {
    byId(strip).addEventListener("click", () => change({ strip: page.settings.strip === strip ? "" : strip }));
  }
}
