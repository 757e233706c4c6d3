// What the network predicts: ddpm_core/parameterization.py. Every target is A·eps - B·x0, so one formula inverts all.

const COEFFICIENTS = {
  epsilon: () => [1, 0], // Ho et al. 2020
  v: (abar) => [Math.sqrt(abar), Math.sqrt(1 - abar)], // Salimans & Ho 2022
  x0: () => [0, -1],
  blend: (abar) => [1 - abar + abar * Math.sqrt(abar), abar * Math.sqrt(1 - abar)],
};

/** x0 from the network's output (B·C·H·W), by eliminating eps from the target and from xt. */
export function predictX0(name, output, xt, abar) {
  const [a, b] = COEFFICIENTS[name](abar);
  const [r, s] = [Math.sqrt(abar), Math.sqrt(1 - abar)];
  const d = a * r + b * s;
  return output.map((out, i) => (a * xt[i] - s * out) / d);
}
