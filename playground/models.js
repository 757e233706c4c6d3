// Which model runs: its size and time are told before a large one is fetched, and one is held at a time.
import { connect, makeClassifier, makeNetwork } from "./network.js";
import { byId, tell } from "./views.js";

const LARGE = 10e6; // bytes: what a page may fetch unasked
const THREADS_FROM = 1e8; // multiplications: below, threads cost more than they save
const approved = new Set();
let held = null; // { key, line, entry, ... }
const runtimes = fetch("./ort/sizes.json").then((response) => response.json());

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

export function duration(ms) {
  return ms < 950 ? `${(ms / 1000).toFixed(1)} s` : ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

function size(entry, weights) {
  return entry.files[weights].bytes + (entry.files.classifier?.bytes ?? 0);
}

/** The loaded model that the settings name, or null while a large one awaits the visitor's word. */
export async function offerModel(page, milliseconds) {
  const { settings, manifest } = page;
  const entry = manifest.models.find((m) => m.name === settings.model);
  const key = `${entry.name}-${settings.weights}`;
  const button = byId("load");
  button.hidden = true;
  if (held?.key === key) return held;
  const bytes = size(entry, settings.weights);
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
  return (held = await fetchModel(entry, settings.weights, key, bytes));
}

async function fetchModel(entry, weights, key, bytes) {
  const wanted = new URLSearchParams(location.search).get("device"); // ?device=wasm keeps WebGPU out
  const line = held?.entry === entry ? held.line : connect(wanted, entry.macs >= THREADS_FROM);
  if (held && line !== held.line) held.line.close();
  tell(`Fetching the model, ${megabytes(bytes)}, and what runs it, ${megabytes(Math.min(...Object.values(await runtimes)))} or more …`);
  const address = (kind) => new URL(`./models/${entry.files[kind].file}`, location.href).href;
  const progress = (received) => tell(`Fetching the model: ${Math.floor((100 * received) / entry.files[weights].bytes)} %`);
  await line.load(key, address(weights), bytes > LARGE ? progress : undefined);
  byId("runs-on").textContent = `Runs on ${line.device() === "webgpu" ? "your graphics card (WebGPU)" : "your processor (WebAssembly)"}.`;
  const classifier = held?.line === line ? held.classifier : lazily(() => loadClassifier(line, entry, address));
  return { key, line, entry, classifier, ...makeNetwork(line, key, entry, weights) };
}

/** Something to be made when it is first asked for: the first picture need not wait for the classifier. */
function lazily(make) {
  let made = null;
  return () => (made ??= make());
}

async function loadClassifier(line, entry, address) {
  if (!entry.files.classifier) return null;
  await line.load("classifier", address("classifier"));
  return makeClassifier(line, "classifier", entry);
}
