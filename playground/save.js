// Pictures to files, made on the visitor's machine.
import { GIFEncoder, applyPalette, quantize } from "./gifenc/gifenc.esm.js";

function offer(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Save a canvas as name.png. */
export function savePng(canvas, name) {
  return new Promise((resolve) => {
    canvas.toBlob((blob) => {
      offer(blob, `${name}.png`);
      resolve();
    }, "image/png");
  });
}

/** Canvases of one size -> the bytes of an animated GIF; delays in milliseconds, one a frame. */
export function encodeGif(canvases, delays) {
  const gif = GIFEncoder();
  canvases.forEach((canvas, i) => {
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const palette = quantize(data, 256);
    gif.writeFrame(applyPalette(data, palette), width, height, { palette, delay: delays[i] });
  });
  gif.finish();
  return gif.bytes();
}

/** Save canvases as name.gif, the last frame shown longest. */
export function saveGif(canvases, name, delay) {
  const delays = canvases.map((_, i) => (i === canvases.length - 1 ? 1500 : delay));
  offer(new Blob([encodeGif(canvases, delays)], { type: "image/gif" }), `${name}.gif`);
}
