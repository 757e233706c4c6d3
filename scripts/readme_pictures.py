"""Makes the README's pictures from what ships: `python scripts/readme_pictures.py [NAME ...]` writes docs/NAME.webp.

colour        ten classes from ten noises, and the same noises again as the guidance scale grows (a minute)
guidance      the guidance laboratory, at w = 1 and then at w = 4: the page itself, in Chromium
class_report  parts of the class report of the demo's nine sample submissions, which are graded for it (a minute)
lesson_5_1    28×28 digits emerging from noise                 lesson_5_2  the laboratory, with guidance overshooting
lesson_5_3    interpolations between classes, in colour        lesson_5_4  the laboratory's straight and curved paths
"""

import functools
import io
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from playwright.sync_api import sync_playwright

from autograder import demo
from ddpm_core import checkpoint, samplers
from ddpm_core.config import DATA_DIR
from ddpm_core.interpolation import InterpolationConfig, interpolate_classes
from ddpm_core.samplers import SampleConfig
from ddpm_tools.datasets.vision import CIFAR10_CLASSES
from ddpm_tools.drawing import COLOUR_PAIRS
from ddpm_tools.reports import moving
from ddpm_tools.reports.moving import HELD, MS, Frame

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
SCALES, FRAMES, LAST = (1, 4), 24, 999  # the laboratory's scales, frames from noise to data, and the noisiest timestep
GROWTH = (1, 5, 17)  # of the guidance scale in `colour`: from, to, and number of pictures
SHARP = ("guidance", "class_report")  # letters and lines need quality; noise is costly to store
SEED, SOLVER = 0, SampleConfig("dpm++")
COLOUR_SEED = 1  # of 20 the one in which a classifier is surest of every class at the largest scale


class Quiet(SimpleHTTPRequestHandler):
    """A server for the page, since browsers do not load modules from files."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def browser() -> Iterator[Any]:
    with sync_playwright() as p:
        started = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@contextmanager
def laboratory() -> Iterator[Callable[..., Image.Image]]:
    """Yield a function that sets the laboratory's state and returns a picture, with or without the sentence above."""
    handler = functools.partial(Quiet, directory=str(ROOT / "playground"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, browser() as b:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = b.new_page(viewport={"width": 560, "height": 900}, color_scheme="light", bypass_csp=True)
        page.goto(f"http://127.0.0.1:{server.server_port}/lab/index.html#t={LAST}")
        page.wait_for_function("window.lab")
        page.add_style_tag(content="#sentence {min-height: 4.4em}")

        def shown(sentence: bool, **state: Any) -> Image.Image:
            page.evaluate("async (s) => { lab.change(s); lab.draw(); }", state)
            page.evaluate("new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")
            area = page.locator("#sentence, #plane" if sentence else "#plane")
            top, bottom = area.first.bounding_box(), area.last.bounding_box()
            clip = {"x": bottom["x"], "y": top["y"], "width": bottom["width"]}
            clip["height"] = bottom["y"] + bottom["height"] - top["y"]
            return Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")

        yield shown
        server.shutdown()


def guidance() -> list[Frame]:
    """Show points on their way to a class, at one scale after the other."""
    with laboratory() as lab:
        steps = [(w, LAST * (1 - i / FRAMES) ** 1.5) for w in SCALES for i in range(FRAMES + 1)]  # slower at the end
        return [(lab(True, w=w, t=t), MS if t else HELD) for w, t in steps]


def lesson_5_2() -> list[Frame]:
    with laboratory() as lab:
        return [(thumbnail(lab(False, w=4, t=0), (60, 40)), 0)]


def lesson_5_4() -> list[Frame]:
    with laboratory() as lab:
        return [(thumbnail(lab(False, view="paths", w=1, t=0), (40, 80)), 0)]


def thumbnail(plane: Image.Image, corner: tuple[int, int], width: int = 420) -> Image.Image:
    """Cut out a part of the plane, twice as wide as high."""
    left, top = corner
    return plane.crop((left, top, left + width, top + width // 2)).resize((260, 130), Image.LANCZOS)


def colour() -> list[Frame]:
    """Show ten classes in two rows: noise turns into pictures at w = 1, and then w grows."""
    diffusion, y = checkpoint.load(DATA_DIR / "checkpoints/cifar10").diffusion(), torch.arange(10)

    def frame(images: torch.Tensor, title: str) -> Image.Image:
        return moving.tiles(images, 5, CIFAR10_CLASSES, title)

    way = samplers.sample_trajectory(diffusion, y, 1.0, FRAMES, COLOUR_SEED, SOLVER, FRAMES // 2)
    shown = [(frame(xt, f"guidance w = 1.0, timestep t = {t}"), MS) for t, xt in zip(way.t, way.xt)]
    for w in torch.linspace(*GROWTH).tolist():
        images = samplers.sample(diffusion, y, w, FRAMES, COLOUR_SEED, SOLVER)
        held = HELD if w in GROWTH[:2] else 2 * MS
        shown.append((frame(images, f"guidance w = {w:.1f}, the same noise"), held))
    return shown


def lesson_5_1() -> list[Frame]:
    """Show two digits emerging from noise."""
    diffusion = checkpoint.load(DATA_DIR / "checkpoints/digits28").diffusion()
    way = samplers.sample_trajectory(diffusion, torch.tensor([3, 8]), 2.0, FRAMES, SEED, SOLVER, 4)
    steps = torch.stack([*way.xt[:3], way.final], 1)  # (2, 4, 1, 28, 28)
    return [(moving.tiles(steps.flatten(0, 1), 4, side=60), 0)]


def lesson_5_3() -> list[Frame]:
    """Show two interpolations, each of four pictures."""
    diffusion, rows = checkpoint.load(DATA_DIR / "checkpoints/cifar10").diffusion(), []
    how = InterpolationConfig(mode="scores", steps=FRAMES, sampling=SOLVER)
    for pair in COLOUR_PAIRS[1:3]:
        ends = [CIFAR10_CLASSES.index(c) for c in pair]
        rng = torch.Generator().manual_seed(SEED)
        rows.append(interpolate_classes(diffusion, *ends, 4, 4.0, rng, how))
    return [(moving.tiles(torch.cat(rows), 4, side=64), 0)]


def class_report() -> list[Frame]:
    """Show the beginning of the report and all grades side by side."""
    with tempfile.TemporaryDirectory() as folder, browser() as b:
        out = ROOT / "build/demo"  # where `make demo` graded them, or else they are graded here
        if not (out / "grades/report.html").is_file():
            out = Path(folder)
            demo.grade_samples(out, SEED, ROOT)
        page = b.new_page(viewport={"width": 760, "height": 2000}, color_scheme="light")
        page.goto((out / "grades/report.html").as_uri())
        page.add_style_tag(content="nav {display: none !important} h1, h2 {margin-top: 0 !important}")
        left, right = (
            [Image.open(io.BytesIO(page.locator(part).first.screenshot())) for part in parts]
            for parts in (("header", "#needs", "#outcomes"), ("table.heat", ".grids figure:last-child"))
        )
    return [(beside(stacked(left), stacked(right)), 0)]


def stacked(pictures: list[Image.Image], gap: int = 14) -> Image.Image:
    whole = Image.new("RGB", (max(p.width for p in pictures), sum(p.height + gap for p in pictures)), "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height + gap
    return whole


def beside(a: Image.Image, b: Image.Image, margin: int = 16) -> Image.Image:
    size = (a.width + b.width + 4 * margin, max(a.height, b.height) + 2 * margin)
    whole = Image.new("RGB", size, "white")
    whole.paste(a, (margin, margin))
    whole.paste(b, (a.width + 3 * margin, margin))
    return whole


PICTURES = {f.__name__: f for f in (colour, guidance, class_report, lesson_5_1, lesson_5_2, lesson_5_3, lesson_5_4)}


def main(names: list[str]) -> None:
    for name in names or PICTURES:
        if name not in PICTURES:
            raise SystemExit(f"there is no picture '{name}'; known: {', '.join(PICTURES)}")
        shown, quality = PICTURES[name](), 80 if name in SHARP else 60
        wanted = {name: shown} | ({f"{name}_still": shown[-1:]} if len(shown) > 1 else {})  # for readers without motion
        for file, frames in wanted.items():
            path = moving.write(frames, ROOT / f"docs/{file}.webp", quality=quality)
            print(f"wrote {path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
