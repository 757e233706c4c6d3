"""The README's moving pictures, from what ships: `python scripts/readme_pictures.py` writes docs/*.webp in a minute.

docs/guidance.webp  the guidance laboratory, at w = 1 and then at w = 4 (the page itself, in Chromium)
docs/digits.webp    ten digits of 28×28 on their way from noise, by the shipped checkpoint
"""

import functools
import io
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from PIL import Image
from playwright.sync_api import sync_playwright

from ddpm_core import checkpoint, samplers
from ddpm_core.config import DATA_DIR
from ddpm_core.plots import pixels
from ddpm_core.samplers import SampleConfig

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SCALES, FRAMES, LAST = (1, 4), 24, 999  # pictures from noise to data, a scale
HELD = 1800  # milliseconds that each end is shown
CHROMIUM = "/usr/bin/chromium"


class Quiet(SimpleHTTPRequestHandler):
    """Modules are not loaded from files, so the page needs a server."""

    def log_message(self, *_: object) -> None:
        """No line a request."""


def laboratory() -> list[tuple[Image.Image, int]]:
    """What the page shows, and for how many milliseconds."""
    handler = functools.partial(Quiet, directory=str(ROOT / "playground"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as p:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 560, "height": 900}, color_scheme="light", bypass_csp=True)
        page.goto(f"http://127.0.0.1:{server.server_port}/lab/index.html#t={LAST}")
        page.wait_for_function("window.lab")
        page.add_style_tag(content="#sentence {min-height: 4.4em}")
        area, shown = page.locator("#sentence, #plane"), []
        for w in SCALES:
            for i in range(FRAMES + 1):
                t = LAST * (1 - i / FRAMES) ** 1.5  # slower where the points find their places
                page.evaluate("async (s) => { lab.change(s); lab.draw(); }", {"w": w, "t": t})
                page.evaluate("new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")
                top, bottom = area.first.bounding_box(), area.last.bounding_box()
                clip = {"x": bottom["x"], "y": top["y"], "width": bottom["width"]}
                clip["height"] = bottom["y"] + bottom["height"] - top["y"]
                picture = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
                shown.append((picture, HELD if i == FRAMES else 110))
        browser.close()
        server.shutdown()
    return shown


def digits(columns: int = 5, zoom: int = 4) -> list[tuple[Image.Image, int]]:
    """The ten digits in two rows, step by step."""
    loaded = checkpoint.load(DATA_DIR / "checkpoints/digits28")
    diffusion, y, config = loaded.diffusion(), torch.arange(10), SampleConfig("dpm++")
    times = samplers.spaced_timesteps(diffusion.schedule, FRAMES, config.spacing)
    xt = samplers.initial_noise(list(range(10)), diffusion.shape, 2)
    denoise = samplers.denoiser(diffusion, y, 2.0, config)
    steps = samplers.solve(denoise, xt, diffusion.schedule, times, config, samplers.step_noise(list(range(10)), 0))
    way = samplers.record(steps, xt, times, FRAMES)
    shown = []
    for i, images in enumerate([*way.xt, way.x0_hat[-1]]):  # (10, 1, 28, 28)
        rows = images.unflatten(0, (-1, columns)).permute(2, 0, 3, 1, 4).flatten(1, 2).flatten(2)  # (1, 2·28, 5·28)
        small = Image.fromarray(pixels(rows))
        big = small.resize((small.width * zoom, small.height * zoom), Image.NEAREST)
        shown.append((big, HELD if i == len(way.xt) else 110))
    return shown


def write(shown: list[tuple[Image.Image, int]], path: Path, quality: int) -> None:
    """An endless WebP: a GIF's 256 colours are too few for shades of grey beside four colours."""
    first, *rest = (picture for picture, _ in shown)
    options = {"duration": [ms for _, ms in shown], "loop": 0, "quality": quality, "method": 4}
    first.save(path, save_all=True, append_images=rest, **options)
    print(f"wrote {path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    write(laboratory(), DOCS / "guidance.webp", quality=80)
    write(digits(), DOCS / "digits.webp", quality=60)
