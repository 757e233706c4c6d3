// The guidance laboratory in its frame: as high as it needs to be, and in the colours of the page around it.
const frames = [...document.querySelectorAll("iframe.lab")];
const dark = () => document.body.dataset.mdColorScheme === "slate";
const paint = (frame) => frame.contentWindow.postMessage({ dark: dark() }, "*");

addEventListener("message", ({ source, data }) => {
  const frame = frames.find(({ contentWindow }) => contentWindow === source);
  if (!frame || !data?.labHeight) return;
  frame.style.height = `${Math.ceil(data.labHeight)}px`;
  paint(frame); // it has begun to listen
});
new MutationObserver(() => frames.forEach(paint)).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
