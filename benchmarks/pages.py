"""How soon and how heavy: the site's pages in headless Chromium, before anybody touches them.

    make site && python benchmarks/pages.py
    python benchmarks/pages.py --site build/site --repeats 3

Per page: seconds to the first contentful paint and to the largest (medians over fresh browser contexts, so that nothing
is cached), bytes as served (uncompressed: no server's gzip flatters them), bytes that frames add after scrolling to the
end, and number of requests. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import functools
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
# The largest paint is told to observers alone; those that join late hear of earlier ones.
PAINTS = """() => new Promise((then) => {
  const first = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null;
  let largest = null;
  new PerformanceObserver((list) => { for (const e of list.getEntries()) largest = e.startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => then({ first, largest }), 200);
})"""


class Counting(http.server.SimpleHTTPRequestHandler):
    """Remembers what it has sent: to the page, its frames and its workers alike."""

    sent: ClassVar[list[int]] = []

    def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:
        data = source.read()
        self.sent.append(len(data))
        outputfile.write(data)

    def log_message(self, *_: object) -> None: ...


def visit(browser: Browser, address: str) -> dict[str, float]:
    """One visit of a reader who comes for the first time."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, sent = context.new_page(), Counting.sent
    sent.clear()
    page.goto(address, wait_until="networkidle", timeout=120_000)
    paints, before, requests = page.evaluate(PAINTS), sum(sent), len(sent)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_timeout(500)
    page.wait_for_load_state("networkidle", timeout=120_000)
    context.close()
    seconds = {f"{k}_s": round(v / 1000, 2) if v is not None else None for k, v in paints.items()}
    return seconds | {"bytes": before, "scrolled_bytes": sum(sent) - before, "requests": requests}


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
                f"{page:45} first paint {r['first_s']} s, largest {r['largest_s']} s, {r['bytes'] / 1e6:.2f} MB in "
                f"{r['requests']:.0f} requests, {r['scrolled_bytes'] / 1e6:.2f} MB more when scrolled through",
                flush=True,
            )
        browser.close()
        server.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
