// Which model runs: its size and time are told before a large one is fetched, and one is held at a time.
import { connect, makeClassifier, makeNetwork } from "./network.js";
import { byId, tell } from "./views.js";

const LARGE = 10e6; // bytes: what a page may fetch unasked
const THREADS_FROM = 1e8; // multiplications: below, threads cost more than they save
const approved = new Set();
let held = null; // { entry, line, models by weights, classifier }
const runtimes = fetch("./ort/sizes.json").then((response) => response.json());

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

export function duration(ms) {
  if (ms < 950) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

function size(entry, weights) {
  return entry.files[weights].bytes + (entry.files.classifier?.bytes ?? 0);
}

/** The loaded model that the settings name, or null while a large one awaits the visitor's word. */
export async function offerModel(page, milliseconds) {
  const { settings, manifest } = page;
  const entry = manifest.models.find((m) => m.name === settings.model);
  const button = byId("load");
  button.hidden = true;
  if (held?.entry === entry && held.models.has(settings.weights)) return held.models.get(settings.weights);
  const [key, bytes] = [`${entry.name}-${settings.weights}`, size(entry, settings.weights)];
  if (bytes > LARGE && !approved.has(key)) {
    const time = duration(milliseconds(entry, { ...settings, strip: "" }));
    tell(`${entry.name}: ${megabytes(bytes)} to fetch, then about ${time} a picture on this machine.`);
    button.textContent = `Load ${entry.name} (${megabytes(bytes)})`;
    button.onclick = () => {
      approved.add(key);
      page.redraw();
    };
    button.hidden = false;
    return null;
  }
  return fetchModel(entry, settings.weights, bytes);
}

const address = (file) => new URL(`./models/${file.file}`, location.href).href;

/** A worker for this checkpoint alone; the one before it ends. */
function hold(entry) {
  held?.line.close();
  const wanted = new URLSearchParams(location.search).get("device"); // ?device=wasm keeps WebGPU out
  const line = connect(wanted, entry.macs >= THREADS_FROM);
  held = { entry, line, models: new Map(), classifier: lazily(() => loadClassifier(line, entry)) };
}

async function fetchModel(entry, weights, bytes) {
  if (held?.entry !== entry) hold(entry);
  const { line, models, classifier } = held;
  const runtime = megabytes(Math.min(...Object.values(await runtimes)));
  tell(`Fetching the model, ${megabytes(bytes)}, and what runs it, ${runtime} or more …`);
  const progress = (received) => tell(`Fetching the model: ${Math.floor((100 * received) / bytes)} %`);
  await line.load(weights, address(entry.files[weights]), bytes > LARGE ? progress : undefined);
  const where = line.device() === "webgpu" ? "your graphics card (WebGPU)" : "your processor (WebAssembly)";
  tell(`Runs on ${where}.`, "runs-on");
  models.set(weights, { entry, classifier, ...makeNetwork(line, weights, entry, weights) });
  return models.get(weights);
}

/** Something to be made when it is first asked for: the first picture need not wait for the classifier. */
function lazily(make) {
  let made = null;
  return () => (made ??= make());
}

async function loadClassifier(line, entry) {
  if (!entry.files.classifier) return null;
  await line.load("classifier", address(entry.files.classifier));
  return makeClassifier(line, "classifier", entry);
}
