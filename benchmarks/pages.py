"""How fast the site's pages load in headless Chromium and how large they are, before any interaction.

    make site && python benchmarks/pages.py
    python benchmarks/pages.py --site build/site --repeats 3

Per page: seconds to the first and to the largest contentful paint (medians over fresh browser contexts, so nothing is
cached); bytes, both with texts and scripts gzipped as web servers send them and as stored on disk; bytes that frames
add after scrolling to the end; number of requests. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import shutil
import sys
import threading
from pathlib import Path
from statistics import median
from typing import BinaryIO, ClassVar

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "index.html", "lessons/5_1_unconditional.html", "exercises/5_2_guidance/label_dropout.html", "gallery/index.html",
    "reference/guidance.html", "docs/grading_validity.html", "playground.html", "playground/index.html",
    "lab/index.html",
)  # fmt: skip
# The largest paint is only reported to observers, which can be told about earlier ones.
PAINTS = """() => new Promise((then) => {
  let largest = null;
  new PerformanceObserver((list) => { for (const e of list.getEntries()) largest = e.startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  const tell = (left) => {
    const first = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null;
    if (first !== null && largest !== null || !left) then({ first, largest });
    else setTimeout(tell, 100, left - 1);
  };
  setTimeout(tell, 200, 100);
})"""


TEXTS = (".html", ".css", ".js", ".mjs", ".json", ".svg", ".wasm")


class Counting(http.server.SimpleHTTPRequestHandler):
    """Records the sizes of what it sends to the page, its frames and its workers."""

    sent: ClassVar[list[tuple[int, int]]] = []  # (bytes, gzipped if that is usual; bytes as stored)

    def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:
        data = source.read()
        text = Path(self.translate_path(self.path)).suffix in TEXTS
        self.sent.append((len(gzip.compress(data, 6)) if text else len(data), len(data)))
        outputfile.write(data)

    def log_message(self, *_: object) -> None: ...


def visit(browser: Browser, address: str) -> dict[str, float]:
    """Visit a page once, as a first-time reader would."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, sent = context.new_page(), Counting.sent
    sent.clear()
    page.goto(address, wait_until="networkidle", timeout=120_000)
    paints, before = page.evaluate(PAINTS), list(sent)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_timeout(500)
    page.wait_for_load_state("networkidle", timeout=120_000)
    context.close()
    seconds = {f"{k}_s": round(v / 1000, 2) if v is not None else None for k, v in paints.items()}
    later = sent[len(before) :]
    sizes = {"bytes": sum(b for b, _ in before), "scrolled_bytes": sum(b for b, _ in later)}
    return seconds | sizes | {"bytes_on_disk": sum(b for _, b in before), "requests": len(before)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds and bytes of the site's pages.")
    parser.add_argument("--site", type=Path, default=ROOT / "build/site")
    parser.add_argument("--repeats", type=int, default=3)
    a = parser.parse_args()
    pages = [page for page in PAGES if (a.site / page).is_file()]
    if not pages or not shutil.which("chromium"):
        sys.exit(f"{a.site} holds no site: make site" if not pages else "Chromium is needed: make tools")
    found = {}
    handler = functools.partial(Counting, directory=a.site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for page in pages:
            visits = [visit(browser, f"http://127.0.0.1:{server.server_port}/{page}") for _ in range(a.repeats)]
            known = {key: [v[key] for v in visits if v[key] is not None] for key in visits[0]}
            found[page] = {key: round(median(values), 2) if values else None for key, values in known.items()}
            r = found[page]
            print(
                f"{page:45} first paint {r['first_s']} s, largest {r['largest_s']} s, {r['bytes'] / 1e6:.2f} MB "
                f"({r['bytes_on_disk'] / 1e6:.2f} on disk) in "
                f"{r['requests']:.0f} requests, {r['scrolled_bytes'] / 1e6:.2f} MB more when scrolled through",
                flush=True,
            )
        browser.close()
        server.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
