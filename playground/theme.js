// The page around, which may show this one in a frame of its own, says in which colours; alone, the reader's system does.
const { parent } = window;

addEventListener("message", ({ source, data }) => {
  if (source === parent && typeof data?.dark === "boolean") {
    document.documentElement.dataset.theme = data.dark ? "dark" : "light";
  }
});
if (parent !== window) parent.postMessage({ asksForTheme: true }, "*");
