// What the theme leaves out for those who use a keyboard or a screen reader, and for wide formulas.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search"); // a dialog needs a name

/** A formula that is somewhat too wide becomes smaller; one that would become illegible scrolls. */
function fit(formula) {
  formula.style.fontSize = "";
  const share = formula.clientWidth / formula.scrollWidth;
  if (share < 1 && formula.clientWidth) formula.style.fontSize = `${Math.max(0.75, share * 0.99)}em`;
}

/** What scrolls sideways can be reached by keyboard, but only as long as it does. */
function reach(element) {
  if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  else element.removeAttribute("tabindex");
}

function arrange() {
  document.querySelectorAll(".katex-display").forEach(fit);
  document.querySelectorAll(".md-typeset__scrollwrap, div.arithmatex, .katex-display, p.wide, pre > code").forEach(reach);
}
addEventListener("load", arrange);
addEventListener("resize", arrange);
document.addEventListener("toggle", arrange, true); // an answer was unfolded
