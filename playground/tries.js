// Six things to try: each link sets the whole state, and its answer is folded. What the answers say of these links is
// measured by a test, in the page itself.
import { fit, fromAddress, toAddress } from "./settings.js";

const DIGIT = "#model=digits28&class=3&to=8&mix=0&path=linear&weights=ema&steps=10";

/** [question, state, answer] of each. */
export const TRIES = [
  [
    "Set w = 0. Which class is drawn, and why?",
    `${DIGIT}&w=0&sampler=dpm%2B%2B&seed=2`,
    "An 8, although 3 is selected. At w = 0 only the pass without the class counts, so the noise decides. Choose another " +
      "class and the picture stays the same; choose new noise and it changes.",
  ],
  [
    "Compare w = 4 with w = 1. What does guidance change?",
    `${DIGIT}&w=4&sampler=dpm%2B%2B&seed=6&beside=w&other=1`,
    "From this noise, the model alone (B) draws no clear 3. With guidance (A), the classifier reads 3 with over 90 %. The " +
      "strokes are thicker, too: guidance exaggerates what sets a class apart.",
  ],
  [
    "Go to the first step. What does the network predict from noise alone?",
    `${DIGIT}&w=1&sampler=dpm%2B%2B&seed=2&at=0`,
    "A blur, like many 3s on top of each other. Pure noise says nothing, so the best guess is an average of everything " +
      "possible. New noise changes it less than it changes the picture. In later steps the strokes become definite.",
  ],
  [
    "Compare 5 steps with 30. What do the extra steps buy?",
    `${DIGIT.replace("steps=10", "steps=5")}&w=1&sampler=ddim&seed=2&beside=steps&other=30&difference=1`,
    "Little here: the same 3, a few hundredths of the range apart on average, mostly at the edges of the strokes. DDIM adds " +
      "no noise, so both runs follow one path to one picture, and fewer steps follow it less exactly.",
  ],
  [
    "Interpolate from 3 to 8. Where does one become the other?",
    `${DIGIT}&w=2&sampler=dpm%2B%2B&seed=3&strip=walk`,
    "Between 60 % and 70 %, abruptly. The classifier reads 3 with about 90 % before, and 8 with about 90 % after. " +
      "The class embedding moves evenly; the picture does not.",
  ],
  [
    "Compare DDIM with DDPM. Why does the same noise give another picture?",
    `${DIGIT}&w=1&sampler=ddim&seed=5&beside=sampler&other=ddpm&difference=1`,
    "DDIM (A) adds no noise, so the starting noise fixes the picture. DDPM (B) adds fresh noise at every step but the last, " +
      "so it leads from the same start to another picture. Both are samples from the model.",
  ],
];

/** The list, of those whose model the page has. */
export function showTries(list, { models }) {
  const known = TRIES.filter(([, href]) => models.some(({ name }) => name === fromAddress(href).model));
  list.replaceChildren(
    ...known.map(([question, href, answer]) => {
      const row = document.createElement("li");
      const link = Object.assign(document.createElement("a"), { textContent: question, href });
      const entry = models.find(({ name }) => name === fromAddress(href).model);
      link.dataset.state = toAddress(fit(fromAddress(href), entry));
      const fold = Object.assign(document.createElement("details"), { name: "answer" }); // one is open at a time
      fold.append(Object.assign(document.createElement("summary"), { textContent: "Answer" }));
      fold.append(Object.assign(document.createElement("p"), { textContent: answer }));
      row.append(link, fold);
      return row;
    }),
  );
  list.closest("section").hidden = !known.length;
}

/** Mark the one whose state the page has. */
export function markTry(address) {
  for (const link of document.querySelectorAll("#tries a")) {
    if (link.dataset.state === address) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
