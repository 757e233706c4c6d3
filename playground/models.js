// Which model runs: its size is told before a large one is fetched, and one is held at a time.
import { connect, makeClassifier, makeNetwork } from "./network.js";
import { byId, tell } from "./views.js";

const LARGE = 10e6; // bytes: what a page may fetch without asking again
const THREADS_FROM = 1e8; // multiplications: below, threads cost more than they save
const approved = new Set();
let held = null; // { entry, line, models by weights, classifier }
let sizes = null; // of the runtime's files

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** Milliseconds in words. */
export function duration(ms) {
  if (ms < 9500) return `${(ms / 1000).toFixed(ms < 950 ? 2 : 1)} s`;
  return ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

/** The page's one large button, with what it does; none where there is nothing to do. */
export function offer(text = null, action = null) {
  const button = byId("load");
  button.hidden = !text;
  button.textContent = text ?? "";
  button.onclick = action;
}

const isHeld = (entry, weights) => held?.entry === entry && held.models.has(weights);

async function runtimeSizes() {
  sizes ??= await (await fetch("./ort/sizes.json")).json();
  return sizes;
}

/** The loaded model that the settings name, or null while a large one awaits the visitor's word. `before` is called
 *  where there will be a wait: what is on the page is another model's. */
export async function offerModel(page, settings, before) {
  const entry = page.manifest.models.find((m) => m.name === settings.model);
  if (isHeld(entry, settings.weights)) {
    offer();
    return held.models.get(settings.weights);
  }
  const bytes = entry.files[settings.weights].bytes;
  const key = `${entry.name}-${settings.weights}`;
  before(entry);
  if (bytes > LARGE && !approved.has(key)) {
    const runtime = held ? "" : `, plus at least ${megabytes(Math.min(...Object.values(await runtimeSizes())))} for the runtime`;
    tell(`${entry.name} is not loaded: ${megabytes(bytes)} to download${runtime}.`);
    offer(`Load ${entry.name} (${megabytes(bytes)})`, () => {
      approved.add(key);
      page.redraw();
    });
    return null;
  }
  offer();
  return fetchModel(entry, settings.weights, bytes);
}

const address = (file) => new URL(`./models/${file.file}`, location.href).href;

/** A worker for this checkpoint alone. */
function begin(entry) {
  const wanted = new URLSearchParams(location.search).get("device"); // ?device=wasm keeps WebGPU out
  const line = connect(wanted, entry.macs >= THREADS_FROM);
  return { entry, line, models: new Map(), classifier: lazily(() => loadClassifier(line, entry)) };
}

/** The one before is let go when the new one is there: if that fails, the page still has what it had. */
async function fetchModel(entry, weights, bytes) {
  const next = held?.entry === entry ? held : begin(entry);
  const { line, models, classifier } = next;
  tell(`Downloading ${entry.name} …`);
  const progress = (received, total) => tell(`Downloading ${entry.name}: ${Math.floor((100 * received) / total)} % of ${megabytes(total)}`);
  try {
    await line.load(weights, { url: address(entry.files[weights]), bytes, sizes: await runtimeSizes() }, progress);
  } catch (error) {
    if (next !== held) line.close();
    throw error;
  }
  if (next !== held) held?.line.close();
  held = next;
  const where = line.device() === "webgpu" ? "your graphics card (WebGPU)" : "your processor (WebAssembly)";
  tell(`Runs on ${where}.`, "runs-on");
  models.set(weights, { entry, classifier, ...makeNetwork(line, weights, entry, weights) });
  return models.get(weights);
}

/** Something to be made when it is first asked for: the first picture need not wait for the classifier. */
function lazily(make) {
  let made = null;
  return () =>
    (made ??= make().catch((error) => {
      made = null; // asked for again, it is fetched again
      throw error;
    }));
}

async function loadClassifier(line, entry) {
  const file = entry.files.classifier;
  if (!file) return null;
  await line.load("classifier", { url: address(file), bytes: file.bytes, sizes: {} });
  return makeClassifier(line, "classifier", entry);
}

/** Why something could not be fetched, in words. */
export function reason(error) {
  if (!navigator.onLine) return "this machine is offline";
  return /fetch|import|network|worker could not start/i.test(error.message) ? "the server did not answer" : error.message;
}
