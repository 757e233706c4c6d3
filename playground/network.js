// The networks as functions: ddpm_core/network.py. What runs them is in worker.js.

/** A line to a worker of its own: load(key, { url, bytes, sizes }, onBytes) and run(key, feeds), both promises, device()
 *  and close(). bytes is the file's size, sizes those of the runtime's files; onBytes(received, total) counts both.
 *  wanted is "wasm", or null for the best there is; threads says whether to use them where the browser lets us. */
export function connect(wanted, threads) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let count = 0;
  let device = null;
  worker.onmessage = ({ data: { id, result, error, received, total } }) => {
    const { resolve, reject, onBytes } = waiting.get(id);
    if (received !== undefined) return onBytes?.(received, total);
    waiting.delete(id);
    if (error !== undefined) reject(new Error(error));
    else resolve(result);
  };
  worker.onerror = (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message || "the worker could not start"));
    waiting.clear();
  };
  const ask = (message, onBytes) =>
    new Promise((resolve, reject) => {
      waiting.set(++count, { resolve, reject, onBytes });
      worker.postMessage({ id: count, ...message });
    });
  return {
    device: () => device,
    close: () => worker.terminate(),
    run: (key, feeds) => ask({ run: { key, feeds } }),
    async load(key, file, onBytes) {
      ({ device } = await ask({ load: { key, ...file, device: wanted, threads } }, onBytes));
    },
  };
}

/** A loaded U-Net as (xt, t, cond) -> Promise of output; embeddings are rows of its class table. */
export function makeNetwork(line, key, entry, weights) {
  const table = entry.class_table[weights].map((row) => Float32Array.from(row)); // (K + 1, D)
  const size = entry.shape.reduce((a, b) => a * b);
  const network = (xt, t, cond) => {
    const n = xt.length / size;
    return line.run(key, {
      xt: { data: xt, dims: [n, ...entry.shape] },
      t: { data: new Float32Array(n).fill(t), dims: [n] },
      class_emb: { data: cond, dims: [n, table[0].length] },
    });
  };
  return { network, size, embedClass: (y) => table[y], nullCond: table[table.length - 1] };
}

/** A loaded classifier as images (B·C·H·W) -> Promise of probabilities, B arrays of K. */
export function makeClassifier(line, key, entry) {
  const size = entry.shape.reduce((a, b) => a * b);
  return async (images) => {
    const n = images.length / size;
    const logits = await line.run(key, { images: { data: images, dims: [n, ...entry.shape] } });
    const k = logits.length / n;
    return Array.from({ length: n }, (_, i) => softmax(logits.subarray(i * k, (i + 1) * k)));
  };
}

function softmax(logits) {
  const top = Math.max(...logits);
  const weights = Array.from(logits, (x) => Math.exp(x - top));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((x) => x / sum);
}
