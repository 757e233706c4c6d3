// Hands on the plane: the pointer drags modes and carries the probe, the arrow keys move it, the space bar plays.
import { changeMode } from "./controls.js";
import { mixtureOfState } from "./model.js";
import { HEIGHT, WIDTH } from "./scene.js";

const REACH = 24; // pixels around a mode's centre that take hold of it
const STEP = 0.06; // of the probe, for a key
const KEYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };

/** Connect a scene: on(changes) hears of a moved mode, select(mode), moveProbe(place), togglePlay(). */
export function connectPointer(page, scene, { on, select, moveProbe, togglePlay }) {
  const { canvas } = scene;
  let held = null; // "mode" or "probe"
  const modeAt = ({ x, y }) => {
    const far = mixtureOfState(page.state).map((m) => Math.hypot(m.x - x, m.y - y) * scene.scale);
    const nearest = Math.min(...far);
    return nearest <= REACH ? far.indexOf(nearest) : null;
  };
  canvas.addEventListener("pointerdown", (event) => {
    const place = scene.place(event);
    const mode = modeAt(place);
    held = mode === null ? "probe" : "mode";
    if (mode === null) moveProbe(place);
    else select(mode);
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add("held");
  });
  canvas.addEventListener("pointermove", (event) => {
    const place = scene.place(event);
    if (held === "mode") changeMode(page, on, place);
    else if (held === "probe" || event.pointerType === "mouse") moveProbe(place);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      held = null;
      canvas.classList.remove("held");
    });
  }
  const steady = (event) => modeAt(scene.place(event.touches[0])) !== null && event.preventDefault();
  canvas.addEventListener("touchstart", steady, { passive: false }); // a finger on a mode moves it, not the page
  canvas.addEventListener("keydown", (event) => {
    if (event.key === " ") togglePlay();
    else if (event.key in KEYS) {
      const [dx, dy] = KEYS[event.key];
      const inside = (value, size) => Math.max(-size / 2, Math.min(size / 2, value));
      moveProbe({ x: inside(page.probe.x + dx, WIDTH), y: inside(page.probe.y + dy, HEIGHT) });
    } else return;
    event.preventDefault();
  });
}
