// The recorded opening: one picture's steps as the build drew them, so that the page moves before a model is fetched.

const ROWS = ["xt", "x0", "weak", "strong", "push"]; // the sheet's rows, from the top

/** Pixels of the sheet's cell (column, row) -> an image (C·H·W) in [-1, 1]. */
function cell(pen, column, row, [channels, height, width]) {
  const { data } = pen.getImageData(column * width, row * height, width, height);
  const area = width * height;
  return Float32Array.from({ length: channels * area }, (_, i) => data[4 * (i % area) + Math.floor(i / area)] / 127.5 - 1);
}

/** { settings, frames }, or null where the page was built without one. */
export async function loadOpening() {
  const told = await (await fetch("./opening.json")).json();
  if (!told) return null;
  const { settings, shape, times, readings } = told;
  const sheet = await createImageBitmap(await (await fetch("./opening.png")).blob());
  const canvas = Object.assign(document.createElement("canvas"), { width: sheet.width, height: sheet.height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(sheet, 0, 0);
  const frames = times.map((t, i) => {
    const [xt, x0, weak, strong, push] = ROWS.map((_, row) => cell(pen, i, row, shape));
    return { t, xt, x0, reading: readings[i], ...(t === null ? {} : { parts: { weak, strong, push } }) };
  });
  return { settings, frames };
}

/** Are these the settings that were recorded, whatever step is looked at? */
export function isRecorded(opening, settings) {
  const told = opening?.settings ?? {};
  const plain = !settings.strip && !settings.beside;
  return opening !== null && plain && Object.keys(told).every((name) => told[name] === settings[name]);
}
