// Arrays to pixels. Images are (C·H·W) in [-1, 1]; one value is one pixel, and the style sheet makes the pixels large.

/** An image -> ImageData; grey where it has one channel. */
export function toPixels(image, [channels, height, width]) {
  const pixels = new ImageData(width, height);
  const area = height * width;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) {
      pixels.data[4 * i + c] = Math.round((image[(channels === 1 ? 0 : c) * area + i] + 1) * 127.5); // clamps by itself
    }
    pixels.data[4 * i + 3] = 255;
  }
  return pixels;
}

/** Draw an image on a canvas of just as many pixels. */
export function paint(canvas, image, shape) {
  if (canvas.width !== shape[2] || canvas.height !== shape[1]) [canvas.width, canvas.height] = [shape[2], shape[1]];
  canvas.getContext("2d").putImageData(toPixels(image, shape), 0, 0);
}

/** A new canvas with an image on it; without a description what is around it says what it shows. */
export function picture(image, shape, description) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute(...(description ? ["role", "img"] : ["aria-hidden", "true"]));
  if (description) canvas.setAttribute("aria-label", description);
  paint(canvas, image, shape);
  return canvas;
}

const CELL = 128; // pixels of a saved picture's side, at least
const GAP = 10;
const LINE = 22;

function sheet(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = "#1c1f26";
  pen.font = "15px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.imageSmoothingEnabled = false;
  return { canvas, pen };
}

/** Rows of images with a label under each column and a title above, for saving: rows [[image]], labels [text]. */
export function drawSheet(rows, labels, title, shape) {
  const cell = shape[2] * Math.ceil(CELL / shape[2]);
  const width = rows[0].length * (cell + GAP) + GAP;
  const { canvas, pen } = sheet(width, 2 * LINE + rows.length * (cell + GAP) + GAP);
  pen.fillText(title, GAP, LINE / 2 + 4, width - 2 * GAP);
  rows.forEach((row, r) =>
    row.forEach((image, i) => {
      const [x, y] = [GAP + i * (cell + GAP), LINE + GAP + r * (cell + GAP)];
      pen.drawImage(picture(image, shape, ""), x, y, cell, cell);
    }),
  );
  pen.textAlign = "center";
  labels.forEach((text, i) => {
    pen.fillText(text, GAP + i * (cell + GAP) + cell / 2, canvas.height - LINE / 2 - 2, cell);
  });
  return canvas;
}
