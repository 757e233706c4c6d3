// Noise that depends on (seed, stream, index) alone, as in ddpm_core/streams.py: the same link, the same picture.
// The generator is Philox-4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a counter goes
// in, four random words come out, and nothing is remembered in between. Normals are made by Box and Muller's formula.

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85];

/** The upper and the lower word of the product of two 32-bit words, by halves, all of them exact: BigInt is slower. */
function multiply(a, b) {
  const [a1, a0, b1, b0] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = a1 * b0 + ((a0 * b0) >>> 16); // below 2^33, so exact
  const carry = (middle % 0x10000) + a0 * b1;
  return [a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000), Math.imul(a, b) >>> 0];
}

/** Four 32-bit words and a key of two -> four random words. */
export function philox(counter, key) {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiply(MULTIPLIERS[0], c0);
    const [high1, low1] = multiply(MULTIPLIERS[1], c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    [k0, k1] = [(k0 + KEY_STEPS[0]) >>> 0, (k1 + KEY_STEPS[1]) >>> 0];
  }
  return [c0, c1, c2, c3];
}

/** n standard normal numbers of a stream: 0 is the initial noise, t + 1 that of the step which leaves timestep t. */
export function normals(seed, stream, n) {
  const out = new Float32Array(n);
  for (let i = 0; i < n; i += 4) {
    const words = philox([i / 4, 0, 0, 0], [seed >>> 0, stream >>> 0]);
    for (let j = 0; j < 4; j++) {
      const radius = Math.sqrt(-2 * Math.log((words[j & 2] + 0.5) / 2 ** 32));
      const angle = (2 * Math.PI * words[(j & 2) + 1]) / 2 ** 32;
      if (i + j < n) out[i + j] = radius * (j & 1 ? Math.sin(angle) : Math.cos(angle));
    }
  }
  return out;
}
