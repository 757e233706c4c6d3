// Six things to try: each link sets the whole state, and its answer is folded. What the answers say of these links is
// measured by a test, in the page itself.
import { fit, fromAddress, toAddress } from "./settings.js";

const DIGIT = "#model=digits28&class=3&to=8&mix=0&path=linear&weights=ema&steps=10";

/** [question, state, answer] of each. */
export const TRIES = [
  [
    "Set w = 0. Which class is drawn, and why?",
    `${DIGIT}&w=0&sampler=dpm%2B%2B&seed=2`,
    "An 8, though 3 is chosen: at w = 0 only the pass without the class counts, so the noise decides. Choose another " +
      "class and the picture stays the same; take new noise and it changes.",
  ],
  [
    "Put w = 1 beside w = 4. What does guidance change?",
    `${DIGIT}&w=4&sampler=dpm%2B%2B&seed=6&beside=w&other=1`,
    "From this noise, the model's own answer (B) is no clear 3; guided (A), the classifier reads 3 with over 90 %. The " +
      "strokes are thicker, too: guidance exaggerates what sets the class apart.",
  ],
  [
    "Go to the first step. What does the network believe when it sees noise alone?",
    `${DIGIT}&w=1&sampler=dpm%2B%2B&seed=2&at=0`,
    "A blur, like many 3s on top of each other: where noise tells nothing, the best guess is an average of all that is " +
      "possible. New noise changes it less than it changes the picture. Move on through the steps: strokes become certain.",
  ],
  [
    "Draw in 5 steps, beside 30. What do the others buy?",
    `${DIGIT.replace("steps=10", "steps=5")}&w=1&sampler=ddim&seed=2&beside=steps&other=30&difference=1`,
    "Little here: the same 3, a few hundredths of the range apart on average, most of it at the strokes' edges. DDIM adds " +
      "no noise on its way, so both runs head for one picture, and fewer steps follow the way less exactly.",
  ],
  [
    "Walk from 3 to 8. Where does the one become the other?",
    `${DIGIT}&w=2&sampler=dpm%2B%2B&seed=3&strip=walk`,
    "Between 60 % and 70 %, at once: the classifier reads 3 with about 90 % before, and 8 with about 90 % after. " +
      "The class embedding moves evenly; what the network draws does not.",
  ],
  [
    "Put DDPM beside DDIM. Same noise, so why another picture?",
    `${DIGIT}&w=1&sampler=ddim&seed=5&beside=sampler&other=ddpm&difference=1`,
    "DDIM (A) adds no noise, so the first noise fixes the picture. DDPM (B) draws fresh noise at every step but the last: " +
      "it leaves the same beginning for another picture. Both are draws from the model.",
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
