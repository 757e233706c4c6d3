// The page around: its theme, and a page of the course that shows this one in a frame of its own.
import { forgetColours } from "./scene.js";

export const embedded = window.parent !== window;

/** Within another page the controls below the plane wait behind a button. */
function foldControls() {
  const [form, button] = [document.getElementById("controls"), document.getElementById("more")];
  const fold = (folded) => {
    form.hidden = folded;
    button.setAttribute("aria-expanded", String(!folded));
  };
  button.hidden = false;
  button.addEventListener("click", () => fold(!form.hidden));
  fold(true);
}

/** Follow the reader's theme, or that of the page around, and tell that page how high this one is. */
export function connectFrame(redraw) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const show = (isDark) => {
    root.dataset.theme = isDark ? "dark" : "light";
    forgetColours();
    redraw();
  };
  dark.addEventListener("change", () => show(dark.matches));
  show(dark.matches);
  if (!embedded) return;
  root.dataset.embedded = "";
  foldControls();
  addEventListener("message", ({ source, data }) => {
    if (source === window.parent && typeof data?.dark === "boolean") show(data.dark);
  });
  const tell = () => window.parent.postMessage({ labHeight: document.body.offsetHeight }, "*");
  new ResizeObserver(tell).observe(document.body);
}
