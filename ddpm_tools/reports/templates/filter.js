const box = document.getElementById("filter");
box.addEventListener("input", () => {
  const word = box.value.toLowerCase();
  for (const e of document.querySelectorAll("[data-who]"))
    e.hidden = !e.dataset.who.toLowerCase().includes(word);
});
