// Runs where the page's modules cannot: opened from a disk, the page says why it stands still, and what to do.
if (location.protocol === "file:") {
  document.addEventListener("DOMContentLoaded", () => {
    for (const id of ["views", "scrub", "status", "right", "strips"]) document.getElementById(id).hidden = true;
    const place = document.getElementById("error");
    place.hidden = false;
    place.textContent =
      "This page cannot run from a file: browsers load its modules and models only from a web server. " +
      "In this folder, run: python3 -m http.server 8000. Then open http://localhost:8000/";
  });
}
