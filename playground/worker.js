// ONNX Runtime Web, away from the page's own thread, so that dragging stays smooth while a network thinks.
// Messages in: { id, load: { key, url, bytes, sizes, device, threads } } or { id, run: { key, feeds } };
// out: { id, received, total } while files come, then { id, result } or { id, error }.
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

async function runtime(name, threads, onBytes) {
  if (!runtimes.has(name)) {
    const [script, binary] = RUNTIMES[name];
    const [ort, bytes] = await Promise.all([import(script), download(new URL(binary, import.meta.url).href, onBytes)]);
    ort.env.wasm.wasmBinary = bytes;
    // Threads need two headers (COOP and COEP) that a static host seldom sends; without them there is one thread.
    ort.env.wasm.numThreads = threads && self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
    ort.env.logLevel = "error";
    runtimes.set(name, ort);
  }
  return runtimes.get(name);
}

/** The file's bytes; onBytes is told how many have come. */
async function download(url, onBytes) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} could not be read (${response.status})`);
  const parts = [];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    onBytes(value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function create(bytes, name, threads, onBytes) {
  const ort = await runtime(name, threads, onBytes);
  const options = { executionProviders: [name], logSeverityLevel: 3 }; // errors alone: the page tells the rest
  return { ort, session: await ort.InferenceSession.create(bytes, options) };
}

/** bytes is the size of the file at url, sizes those of the runtime's files. */
async function load(id, { key, url, bytes: size, sizes, device: wanted, threads }) {
  device ??= wanted === "wasm" ? "wasm" : await choose();
  const binary = RUNTIMES[device][1].split("/").pop();
  const total = size + (runtimes.has(device) ? 0 : sizes[binary]);
  let received = 0;
  const onBytes = (count) => postMessage({ id, received: Math.min(total, (received += count)), total });
  const [bytes] = await Promise.all([download(url, onBytes), runtime(device, threads, onBytes)]);
  try {
    sessions.set(key, await create(bytes, device, threads, onBytes));
  } catch (error) {
    if (device === "wasm") throw error;
    device = "wasm"; // a GPU that promises more than it holds
    sessions.set(key, await create(bytes, device, threads, onBytes));
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
