// Between two classes: ddpm_core/interpolation.py. A straight line, or the arc of a sphere (Shoemake 1985). The third path,
// "scores", leaves the embeddings alone: mixture() in guidance.js.
import { combine, concat } from "./vectors.js";

export const MODES = ["linear", "spherical"];

const length = (x) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));

function between(a, b, alpha, mode) {
  const line = combine(1 - alpha, a, alpha, b);
  const [lenA, lenB] = [length(a), length(b)];
  if (mode === "linear" || lenA === 0 || lenB === 0) return line;
  const [unitA, unitB] = [a.map((x) => x / lenA), b.map((x) => x / lenB)];
  // atan2 of the half-angle's sides stays exact where arccos of the dot product loses all its digits
  const angle = 2 * Math.atan2(length(combine(1, unitA, -1, unitB)), length(combine(1, unitA, 1, unitB)));
  if (Math.sin(angle) < 1e-4) return line;
  const scale = ((1 - alpha) * lenA + alpha * lenB) / Math.sin(angle);
  return combine(scale * Math.sin((1 - alpha) * angle), unitA, scale * Math.sin(alpha * angle), unitB);
}

/** From a (D) at alpha = 0 to b (D) at alpha = 1: alphas (N) -> (N·D).
 *  "spherical" moves the direction along the arc between the two, and the length linearly. */
export function interpolateEmbeddings(a, b, alphas, mode = "linear") {
  if (!MODES.includes(mode)) throw new RangeError(`unknown mode '${mode}'; known: ${MODES.join(", ")}`);
  return concat(...alphas.map((alpha) => between(a, b, alpha, mode)));
}
