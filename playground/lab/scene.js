// The canvas of the plane: from the plane's units to pixels, and what can be drawn on it.
import { CELL, COLUMNS, ROWS } from "./formula.js";

export const WIDTH = COLUMNS * CELL;
export const HEIGHT = ROWS * CELL;
const small = Object.assign(document.createElement("canvas"), { width: COLUMNS, height: ROWS }); // one pixel a cell

let colours = {};
/** A colour of the style sheet by its name; read again after `forgetColours`. */
export function colour(name) {
  colours[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return colours[name];
}
export const forgetColours = () => (colours = {});

/** Fits a canvas to its box, in device pixels, and clears it; returns its context, whose unit is a CSS pixel. */
export function cleared(canvas) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Drawing in the plane's units on a canvas. */
export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
  }

  begin() {
    this.context = cleared(this.canvas);
    this.scale = this.canvas.clientWidth / WIDTH; // pixels in a unit
  }

  px = (x) => (x + WIDTH / 2) * this.scale;
  py = (y) => (HEIGHT / 2 - y) * this.scale;

  /** From a pointer event to the plane. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const unit = box.width / WIDTH;
    return { x: (event.clientX - box.left) / unit - WIDTH / 2, y: HEIGHT / 2 - (event.clientY - box.top) / unit };
  }

  /** A density (M,) as a cloud: the fuller, the denser. */
  cloud(p) {
    const context = small.getContext("2d");
    const image = new ImageData(COLUMNS, ROWS);
    let top = 0;
    for (let i = 0; i < p.length; i++) top = Math.max(top, p[i]);
    for (let i = 0; i < p.length; i++) {
      const row = ROWS - 1 - Math.floor(i / COLUMNS); // the grid's first row lies at the bottom
      image.data[4 * (row * COLUMNS + (i % COLUMNS)) + 3] = 185 * Math.sqrt(p[i] / top);
    }
    context.putImageData(image, 0, 0);
    context.globalCompositeOperation = "source-in"; // the image is opacity alone: this colours it
    context.fillStyle = colour("grey");
    context.fillRect(0, 0, COLUMNS, ROWS);
    context.globalCompositeOperation = "source-over";
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(small, 0, 0, WIDTH * this.scale, HEIGHT * this.scale);
  }

  /** Dots at points (2N), or at those of them that `which` picks by their index. */
  dots(points, fill, radius = 2.2, which = () => true) {
    const { context } = this;
    context.fillStyle = fill;
    context.beginPath();
    for (let i = 0; i < points.length / 2; i++) {
      if (!which(i)) continue;
      const [x, y] = [this.px(points[2 * i]), this.py(points[2 * i + 1])];
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }
    context.fill();
  }

  /** The way of the first `count` points through states (S + 1 arrays of 2N). */
  ways(states, stroke, count, width = 1) {
    const { context } = this;
    context.strokeStyle = stroke;
    context.lineWidth = width;
    for (let i = 0; i < count; i++) {
      context.beginPath(); // one path for all would be slower: a browser looks for crossings within a path
      for (const points of states) context.lineTo(this.px(points[2 * i]), this.py(points[2 * i + 1]));
      context.stroke();
    }
  }

  arrow(x, y, dx, dy, stroke, width = 3, dash = []) {
    const { context } = this;
    const [fromX, fromY, toX, toY] = [this.px(x), this.py(y), this.px(x + dx), this.py(y + dy)];
    const length = Math.hypot(toX - fromX, toY - fromY);
    if (length < 1) return;
    const head = Math.min(length / 2, 3 * width);
    const [ux, uy] = [(toX - fromX) / length, (toY - fromY) / length];
    context.strokeStyle = context.fillStyle = stroke;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(toX - head * ux, toY - head * uy);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.moveTo(toX, toY);
    context.lineTo(toX - head * ux - (head / 1.7) * uy, toY - head * uy + (head / 1.7) * ux);
    context.lineTo(toX - head * ux + (head / 1.7) * uy, toY - head * uy - (head / 1.7) * ux);
    context.fill();
  }

  /** A ring of one standard deviation around a mode, and its class's letter. */
  ring({ x, y, spread }, letter, stroke, chosen) {
    const { context } = this;
    context.strokeStyle = context.fillStyle = stroke;
    context.lineWidth = chosen ? 3 : 1.5;
    context.setLineDash(chosen ? [] : [5, 4]);
    context.beginPath();
    context.arc(this.px(x), this.py(y), spread * this.scale, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
    context.font = "700 15px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 4;
    context.strokeStyle = colour("panel");
    context.strokeText(letter, this.px(x), this.py(y));
    context.fillText(letter, this.px(x), this.py(y));
  }
}
