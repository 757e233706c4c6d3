// From a network to a denoiser: ddpm_core/guidance.py.
// A network is (xt, t, cond) -> Promise of output; a denoiser (xt, t) -> Promise of { x0, eps, passes }, where passes
// holds the network's outputs that led there: weak (without the class), strong (with it), or one of them alone.
import { predictX0 } from "./parameterization.js";
import { concat, repeat } from "./vectors.js";

/** The network's output -> x0, clamped to [-1, 1], and the noise that agrees with it. */
export function splitOutput(output, xt, t, schedule, parameterization) {
  const abar = schedule.alphasCumprod[t];
  const x0 = predictX0(parameterization, output, xt, abar).map((x) => Math.min(1, Math.max(-1, x)));
  const eps = xt.map((x, i) => (x - Math.sqrt(abar) * x0[i]) / Math.sqrt(1 - abar));
  return { x0, eps };
}

/** weak + w·(strong - weak): w = 0 is weak, w = 1 strong (Ho & Salimans 2022, eq. 6; our w is their w + 1).
 *  w is a number, or an array, one per image. */
export function extrapolate(weak, strong, w) {
  const scales = Array.isArray(w) ? w : [w];
  const size = weak.length / scales.length;
  return weak.map((x, i) => x + scales[Math.floor(i / size)] * (strong[i] - x));
}

/** The network's own prediction for cond (B·D), without guidance; `pass` says which of the two passes it is. */
export function plain(network, schedule, cond, parameterization, pass = "strong") {
  return async (xt, t) => {
    const out = await network(xt, t, cond);
    return { ...splitOutput(out, xt, t, schedule, parameterization), passes: { [pass]: out } };
  };
}

/** Classifier-free guidance in one batched pass: out_u + w·(out_c - out_u).
 *  cond (B·D), nullCond (D); w = 0 is unconditional, w = 1 purely conditional. */
export function guided(network, schedule, cond, nullCond, w, parameterization) {
  const nulls = repeat(nullCond, cond.length / nullCond.length); // (B·D)
  if (w === 0 || w === 1) {
    // half of a doubled batch would be wasted
    return plain(network, schedule, ...(w === 1 ? [cond, parameterization] : [nulls, parameterization, "weak"]));
  }
  const both = concat(nulls, cond); // (2B·D)
  return async (xt, t) => {
    const out = await network(concat(xt, xt), t, both); // (2B·C·H·W)
    const [weak, strong] = [out.subarray(0, xt.length), out.subarray(xt.length)];
    const guidedOut = extrapolate(weak, strong, w);
    return { ...splitOutput(guidedOut, xt, t, schedule, parameterization), passes: { weak, strong } };
  };
}

/** Two conditions a and b (D) at once, in one batched pass: strong is (1 - alpha)·out_a + alpha·out_b, one alpha an image
 *  (after Liu et al. 2022, eq. 11). At w = 0 nothing but the pass without a class counts, at w = 1 that one does not. */
export function mixture(network, schedule, [a, b], nullCond, alphas, w, parameterization) {
  const n = alphas.length;
  if (w === 0) return plain(network, schedule, repeat(nullCond, n), parameterization, "weak");
  const conds = [...(w === 1 ? [] : [nullCond]), a, b];
  const every = concat(...conds.map((cond) => repeat(cond, n))); // (2B·D) or (3B·D)
  return async (xt, t) => {
    const out = await network(repeat(xt, conds.length), t, every); // (2B·C·H·W) or (3B·C·H·W)
    const [outB, outA, weak] = conds.map((_, i) => out.subarray(i * xt.length, (i + 1) * xt.length)).reverse();
    const size = xt.length / n;
    const strong = outA.map((x, i) => {
      const alpha = alphas[Math.floor(i / size)];
      return (1 - alpha) * x + alpha * outB[i];
    });
    const mixed = weak ? extrapolate(weak, strong, w) : strong;
    return { ...splitOutput(mixed, xt, t, schedule, parameterization), passes: weak ? { weak, strong } : { strong } };
  };
}
