// The small figure: the distance from the formula against time, data at the left as on the slider.
import { CURVE } from "./model.js";
import { LAST } from "./samplers.js";
import { cleared, colour } from "./scene.js";

const TOP = 0.3; // at least: so that chance stays flat

/** known: the distance at the first of CURVE evenly spaced times; a line for chance, a mark at t. */
export function drawCurve(canvas, known, chance, t) {
  const context = cleared(canvas);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight - 2];
  const top = Math.max(TOP, ...known) * 1.1;
  const y = (value) => 1 + height * (1 - value / top);
  const line = (stroke, thick, dash, ...points) => {
    context.strokeStyle = stroke;
    context.lineWidth = thick;
    context.setLineDash(dash);
    context.beginPath();
    points.forEach((point, i) => context[i ? "lineTo" : "moveTo"](...point));
    context.stroke();
  };
  line(colour("line"), 1, [], [0, y(0)], [width, y(0)]);
  line(colour("soft"), 1, [4, 4], [0, y(chance)], [width, y(chance)]);
  line(colour("arrow-guided"), 2, [], ...known.map((value, i) => [width * (1 - i / (CURVE - 1)), y(value)]));
  const now = (width * t) / LAST;
  line(colour("ink"), 1, [], [now, 0], [now, height]);
}
