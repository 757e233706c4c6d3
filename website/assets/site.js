// What the theme leaves out for those who use a keyboard or a screen reader.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search"); // a dialog needs a name

// What scrolls sideways can be reached by keyboard, and only as long as it does.
const WIDE = ".md-typeset__scrollwrap, .katex-display, p.wide, .highlight pre > code";
function reach() {
  for (const element of document.querySelectorAll(WIDE)) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true); // an answer was unfolded
