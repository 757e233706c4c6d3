// Arithmetic on flat arrays. A batch of images is one Float32Array (B·C·H·W), a batch of embeddings one (B·D).

/** a·x + b·y, element by element. */
export function combine(a, x, b, y) {
  return Float32Array.from(x, (value, i) => a * value + b * y[i]);
}

/** One array after another. */
export function concat(...arrays) {
  const all = new Float32Array(arrays.reduce((length, array) => length + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}

/** The same array n times: what `expand` does to a batch of one. */
export function repeat(array, n) {
  return concat(...Array(n).fill(array));
}

/** Item i of a batch of n. */
export function item(batch, i, n) {
  const size = batch.length / n;
  return batch.slice(i * size, (i + 1) * size);
}
