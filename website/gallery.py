"""The demo gallery: pictures drawn from the shipped checkpoint by the commands that stand beside them."""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_tools import demo, drawing
from ddpm_tools.cli import main
from ddpm_tools.reports import html
from website.fingerprint import ROOT, fingerprint, library

OUT = ROOT / "build/gallery"
PAIRS = (("3", "8"), ("1", "7"), ("4", "9"))

SWEEP = "ddpm sweep --w 1 2 4 6 8 10 --n 200 --sampler dpm++ --steps 10 --out {out}"
WALK = "ddpm interpolate " + " ".join(f"--pair {a} {b}" for a, b in PAIRS) + " --steps 20 --out {out}"
WAY = "ddpm sample --classes 0 3 8 --w 3 --n 1 --steps 30 --trajectory 9 --out {out}/sample.png"
COLOUR_SWEEP = "ddpm sweep --checkpoint {model} --w 1 2 4 8 --n 20 --sampler dpm++ --steps 10 --out {out}"
COLOUR_WALK = "ddpm interpolate --checkpoint {model} " + " ".join(f"--pair {a} {b}" for a, b in drawing.COLOUR_PAIRS)
COLOUR_WALK += " --mode scores --sampler dpm++ --steps 20 --out {out}"
COMMANDS = (SWEEP, WALK, WAY)
COLOUR_COMMANDS = (COLOUR_SWEEP, COLOUR_WALK)
MODEL = "data/checkpoints/cifar10"
LIVE = {  # the like of each picture in the playground, by its address
    "SWEEP": "#model=digits&class=3&sampler=dpm%2B%2B&steps=10&strip=sweep",
    "WALK": "#model=digits&class=3&to=8&path=linear&w=2&steps=20&strip=walk",
    "WAY": "#model=digits&class=3&w=3&steps=30&at=0",
    "RAW": "#model=digits&class=3&steps=20&beside=weights&other=raw&difference=1",
    "COLOUR_SWEEP": "#model=cifar10&class=horse&sampler=dpm%2B%2B&steps=10&strip=sweep",
    "COLOUR_WALK": "#model=cifar10&class=cat&to=dog&path=scores&w=2&sampler=dpm%2B%2B&steps=20&strip=walk",
}

PAGE = Path(__file__).parent / "templates/gallery.md"


def draw(out: Path = OUT) -> None:
    """Draw what is not there yet, or was drawn by other code."""
    mark, made_from = out / "made_from", fingerprint(library(), *COMMANDS, *COLOUR_COMMANDS)
    if mark.is_file() and mark.read_text() == made_from:
        return
    out.mkdir(parents=True, exist_ok=True)
    print("drawing the gallery ...", flush=True)
    with contextlib.redirect_stdout(io.StringIO()):
        for command in COMMANDS:
            main.main(shlex.split(command.format(out=shlex.quote(str(out))))[1:])
        for command in COLOUR_COMMANDS:
            places = {"model": shlex.quote(str(ROOT / MODEL)), "out": shlex.quote(str(out / "cifar10"))}
            main.main(shlex.split(command.format(**places))[1:])
    demo.ema_against_raw(checkpoint.load(DATA_DIR / "checkpoints/digits"), out, steps=20)
    mark.write_text(made_from)


def write(pages: Path, out: Path = OUT) -> str:
    """The page, with its pictures, below `pages`; returns its place."""
    draw(out)
    folder = pages / "gallery"
    for picture in [*out.rglob("*.png"), *out.rglob("*.gif")]:
        copy = folder / picture.relative_to(out)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(picture.read_bytes())
    names = {"SWEEP": SWEEP, "WALK": WALK, "WAY": WAY, "COLOUR_SWEEP": COLOUR_SWEEP, "COLOUR_WALK": COLOUR_WALK}
    names |= {"PAIRS": PAIRS, "COLOUR_PAIRS": drawing.COLOUR_PAIRS, "MODEL": MODEL}
    live = LIVE if (pages / "playground/index.html").is_file() else {}
    html.write(folder / "index.md", PAGE, LIVE=live, **names)
    return "gallery/index.md"
