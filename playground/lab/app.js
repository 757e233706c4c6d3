// The page: its state, and the frames that show it. Opens with a story, unless the address asks for a state.
import { byId, connectControls, element, showControls, showTime } from "./controls.js";
import { drawCurve } from "./curve.js";
import { connectFrame } from "./frame.js";
import * as model from "./model.js";
import { connectPointer } from "./pointer.js";
import { LAST } from "./samplers.js";
import { Scene } from "./scene.js";
import { fit, fromAddress, toAddress } from "./state.js";
import { drawPlane } from "./views.js";
import { legend, pull, sentence } from "./words.js";

const DURATION = 4200; // milliseconds from noise to data
const PAUSE = 900;
const STORY = [1, 4]; // the guidance scales that the page shows by itself

const page = {
  state: fromAddress(location.hash),
  probe: { x: -0.45, y: 0.75 },
  chosen: 0, // of the modes
  playing: false,
  story: [], // scales that are still to be shown
  spent: [], // milliseconds of script of the last frames
};
const scene = new Scene(byId("plane"));
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

let asked = 0;
const redraw = () => (asked ||= requestAnimationFrame(frame));

let before = 0;
function frame(now) {
  asked = 0;
  const start = performance.now();
  // A page that was out of sight goes on where it was; a first frame can carry an earlier time than its start.
  if (page.playing) advance(Math.min(100, Math.max(0, now - before)));
  before = now;
  draw();
  page.spent.push(performance.now() - start);
  if (page.spent.length > 600) page.spent.shift();
  if (page.playing || (page.state.view === "guidance" && model.curve(page.state, 0).length < model.CURVE)) redraw();
}

function advance(milliseconds) {
  page.state = { ...page.state, t: Math.max(0, page.state.t - (LAST * milliseconds) / DURATION) };
  showTime(page.state);
  if (page.state.t > 0) return;
  setPlaying(false);
  if (page.story.length) setTimeout(nextInStory, PAUSE);
}

function draw() {
  const s = page.state;
  drawPlane(scene, s, page.probe, page.chosen);
  say("sentence", sentence(s));
  const colours = legend(s);
  if (say("legend", colours.map(([, text]) => text).join(" "))) {
    byId("legend").replaceChildren(...colours.map(([colour, text]) => element("span", {}, swatch(colour), text)));
  }
  if (s.view === "guidance") {
    say("far", model.distance(s).toFixed(2));
    say("chance", `(${model.chance(s).toFixed(2)} by chance)`);
    drawCurve(byId("curve"), model.curve(s, 2), model.chance(s), s.t);
  }
  if (s.view === "guidance" || s.view === "scores") {
    const { sizes, text } = pull(s, page.probe);
    for (const [name, size] of Object.entries(sizes)) say(`arrow-${name}`, size.toFixed(2));
    say("pull", text);
  }
}

const shown = {};
/** Put a text in its place, if it is another one than before; returns whether it was. */
function say(id, text) {
  if (shown[id] === text) return false;
  byId(id).textContent = shown[id] = text;
  return true;
}

function swatch(colour) {
  const node = element("i", {});
  node.style.background = `var(--${colour})`;
  return node;
}

function setPlaying(playing) {
  page.playing = playing;
  byId("play").textContent = playing ? "Pause" : "Play";
  byId("sentence").ariaLive = playing ? "off" : "polite"; // numbers that run past are not read aloud
  if (playing) before = performance.now();
  redraw();
}

function togglePlay() {
  page.story = [];
  if (!page.playing && page.state.t <= 0) page.state = { ...page.state, t: LAST };
  setPlaying(!page.playing);
}

let writing;
/** Take over some of the state by hand; the story is over. `play` sets the points going. */
function on(some, play = false) {
  page.story = [];
  page.state = fit({ ...page.state, ...some });
  page.chosen = Math.min(page.chosen, model.mixtureOfState(page.state).length - 1);
  if ("t" in some) setPlaying(play);
  clearTimeout(writing); // browsers allow few changes of the address a second
  writing = setTimeout(() => history.replaceState(null, "", toAddress(page.state)), 250);
  showControls(page);
  redraw();
}

function nextInStory() {
  if (!page.story.length) return;
  page.state = { ...page.state, w: page.story.shift(), t: LAST };
  showControls(page);
  setPlaying(true);
}

function start() {
  const hands = {
    on,
    togglePlay,
    select: (mode) => {
      page.chosen = Math.min(mode, model.mixtureOfState(page.state).length - 1);
      showControls(page);
      redraw();
    },
    moveProbe: (place) => {
      page.probe = place;
      redraw();
    },
  };
  connectControls(page, hands);
  connectPointer(page, scene, hands);
  connectFrame(redraw);
  showControls(page);
  new ResizeObserver(redraw).observe(scene.canvas);
  addEventListener("hashchange", () => on(fromAddress(location.hash)));
  if (location.hash.length > 1 || still) return;
  page.story = [...STORY];
  page.state = { ...page.state, w: STORY[0], t: LAST };
  showControls(page);
  const seen = new IntersectionObserver(
    ([{ isIntersecting }]) => {
      if (!isIntersecting) return; // a frame further down a lesson waits for its reader
      seen.disconnect();
      if (page.story.length === STORY.length) nextInStory();
    },
    { threshold: 0.4 },
  );
  seen.observe(scene.canvas);
}

start();
window.lab = { page, change: on, draw };
