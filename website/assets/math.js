// Formulas: what the Markdown extension wrapped in \( \) or \[ \] is drawn by KaTeX, which lies beside this page.
for (const element of document.querySelectorAll(".arithmatex")) {
  const text = element.textContent.trim();
  katex.render(text.slice(2, -2), element, { displayMode: text.startsWith("\\["), output: "htmlAndMathml" });
}
