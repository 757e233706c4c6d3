// The buttons that save what is shown, and the one that copies its address.
import { drawSheet } from "./pictures.js";
import { saveGif, savePng } from "./save.js";
import { asked, byId, filmSteps, stripLabels, stripTitle } from "./views.js";

/** "digits-3-w4-seed7": what a file is called. */
function fileName({ model, class: a, to, mix, w, seed }, kind) {
  return `${model}-${mix ? `${a}-to-${to}` : a}-w${w}-seed${seed}-${kind}`;
}

export function wireSaving(page, address) {
  const shape = () => page.entry.shape;
  const title = () => `${asked(page.shown)}, w = ${page.shown.w}, seed ${page.shown.seed}`;
  byId("way-png").addEventListener("click", () => {
    if (page.frames.length < 2) return;
    const shown = filmSteps(page.frames.length).map((i) => page.frames[i]);
    const rows = [shown.map((f) => f.xt), shown.map((f) => f.x0)];
    const labels = shown.map(({ t }) => (t === null ? "picture" : `t = ${t}`));
    savePng(drawSheet(rows, labels, title(), shape()), fileName(page.shown, "steps"));
  });
  byId("way-gif").addEventListener("click", () => {
    if (page.frames.length < 2) return;
    const sheets = page.frames.map(({ t, xt, x0 }) =>
      drawSheet([[xt, x0]], [t === null ? "picture" : `t = ${t}`, "estimate"], title(), shape()),
    );
    saveGif(sheets, fileName(page.shown, "steps"), 100);
  });
  byId("strip-png").addEventListener("click", () => {
    const { images, settings } = page.strip;
    const sheet = drawSheet([images], stripLabels(settings), stripTitle(settings), shape());
    savePng(sheet, fileName(settings, settings.strip));
  });
  byId("strip-gif").addEventListener("click", () => {
    const { images, settings } = page.strip;
    const labels = stripLabels(settings);
    const frames = images.map((image, i) => drawSheet([[image]], [labels[i]], "", shape()));
    saveGif(frames, fileName(settings, settings.strip), 350);
  });
  byId("link").addEventListener("click", async () => {
    const link = new URL(address(), location.href).href;
    try {
      await navigator.clipboard.writeText(link);
      byId("link").textContent = "Copied";
    } catch {
      location.hash = new URL(link).hash; // no leave to copy: the address bar has it
      byId("link").textContent = "See the address bar";
    }
    setTimeout(() => (byId("link").textContent = "Copy link"), 2000);
  });
}
