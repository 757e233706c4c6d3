// The guidance laboratory and the playground in their frames: in the colours of the page around them; the laboratory as
// high as it needs to be.
const frames = [...document.querySelectorAll("iframe.lab, iframe.playground")];
const dark = () => document.body.dataset.mdColorScheme === "slate";
const paint = (frame) => frame.contentWindow.postMessage({ dark: dark() }, "*");

addEventListener("message", ({ source, data }) => {
  const frame = frames.find(({ contentWindow }) => contentWindow === source);
  if (!frame || !(data?.labHeight || data?.asksForTheme)) return;
  if (data.labHeight) frame.style.height = `${Math.ceil(data.labHeight)}px`;
  paint(frame); // it has begun to listen
});
new MutationObserver(() => frames.forEach(paint)).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
