// ONNX Runtime Web, away from the page's own thread, so that dragging stays smooth while a network thinks.
// Messages in: { id, load: { key, url, device, threads } } or { id, run: { key, feeds } };
// out: { id, received } while a file comes, then { id, result } or { id, error }.
const RUNTIMES = {
  webgpu: ["./ort/ort.webgpu.bundle.min.mjs", "./ort/ort-wasm-simd-threaded.asyncify.wasm"],
  wasm: ["./ort/ort.wasm.bundle.min.mjs", "./ort/ort-wasm-simd-threaded.wasm"],
};
const sessions = new Map();
const runtimes = new Map();
let device = null;

/** WebGPU where there is a graphics card behind it, else WebAssembly, which every browser has. */
async function choose() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    const emulated = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter; // a card played by the processor
    return adapter && !emulated ? "webgpu" : "wasm";
  } catch {
    return "wasm";
  }
}

async function runtime(name, threads) {
  if (!runtimes.has(name)) {
    const [script, binary] = RUNTIMES[name];
    const ort = await import(script);
    ort.env.wasm.wasmPaths = { wasm: new URL(binary, import.meta.url).href };
    // Threads need two headers (COOP and COEP) that a static host seldom sends; without them there is one thread.
    ort.env.wasm.numThreads = threads && self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
    ort.env.logLevel = "error";
    runtimes.set(name, ort);
  }
  return runtimes.get(name);
}

/** The file's bytes; says how far it is. */
async function download(id, url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} could not be read (${response.status})`);
  const parts = [];
  let received = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.length;
    postMessage({ id, received });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function create(bytes, name, threads) {
  const ort = await runtime(name, threads);
  const options = { executionProviders: [name], logSeverityLevel: 3 }; // errors alone: the page tells the rest
  return { ort, session: await ort.InferenceSession.create(bytes, options) };
}

async function load(id, { key, url, device: wanted, threads }) {
  device ??= wanted === "wasm" ? "wasm" : await choose();
  const [bytes] = await Promise.all([download(id, url), runtime(device, threads)]);
  try {
    sessions.set(key, await create(bytes, device, threads));
  } catch (error) {
    if (device === "wasm") throw error;
    device = "wasm"; // a GPU that promises more than it holds
    sessions.set(key, await create(bytes, device, threads));
  }
  return { device };
}

async function run(id, { key, feeds }) {
  const { ort, session } = sessions.get(key);
  const tensors = Object.entries(feeds).map(([name, { data, dims }]) => [name, new ort.Tensor("float32", data, dims)]);
  const out = (await session.run(Object.fromEntries(tensors)))[session.outputNames[0]];
  return Float32Array.from(out.data);
}

let queue = Promise.resolve(); // one thing at a time: a runtime that is busy cannot be asked again
onmessage = ({ data: { id, load: toLoad, run: toRun } }) => {
  queue = queue.then(async () => {
    try {
      postMessage({ id, result: toLoad ? await load(id, toLoad) : await run(id, toRun) });
    } catch (error) {
      postMessage({ id, error: error.message ?? String(error) });
    }
  });
};
