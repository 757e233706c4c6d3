// The film on the stage: played, paused, or moved by hand.
import { byId } from "./views.js";

const LENGTH = 2500; // milliseconds from noise to picture

/** Wires the button and the slider; returns play(), which shows every step from the noise on. */
export function wirePlay(page, showStep, see) {
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    byId("play").textContent = "Play";
  };
  const play = () => {
    let i = 0;
    byId("play").textContent = "Pause";
    timer = setInterval(() => {
      showStep(i < page.frames.length - 1 ? i++ : null);
      if (page.at === null) stop();
    }, Math.max(40, LENGTH / page.frames.length));
  };
  byId("play").addEventListener("click", () => (timer ? stop() : play()));
  byId("at").addEventListener("input", ({ target }) => {
    see(Number(target.value) === Number(target.max) ? null : Number(target.value));
  });
  return { play, stop };
}
