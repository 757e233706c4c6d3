"""The demo gallery: pictures drawn from the shipped checkpoint by the commands that stand beside them."""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_tools import demo
from ddpm_tools.cli import main
from website.fingerprint import ROOT, fingerprint, library

OUT = ROOT / "build/gallery"
PAIRS = (("3", "8"), ("1", "7"), ("4", "9"))

SWEEP = "ddpm sweep --w 1 2 4 6 8 10 --n 200 --sampler dpm++ --steps 10 --out {out}"
WALK = "ddpm interpolate " + " ".join(f"--pair {a} {b}" for a, b in PAIRS) + " --steps 20 --out {out}"
WAY = "ddpm sample --classes 0 3 8 --w 3 --n 1 --steps 30 --trajectory 9 --out {out}/sample.png"
COLOUR_SWEEP = "ddpm sweep --checkpoint {model} --w 1 2 4 8 --n 20 --sampler dpm++ --steps 10 --out {out}"
COLOUR_WALK = "ddpm interpolate --checkpoint {model} " + " ".join(f"--pair {a} {b}" for a, b in demo.COLOUR_PAIRS)
COLOUR_WALK += " --sampler dpm++ --steps 20 --out {out}"
COMMANDS = (SWEEP, WALK, WAY)
COLOUR_COMMANDS = (COLOUR_SWEEP, COLOUR_WALK)
MODEL = "data/checkpoints/cifar10"

PAGE = f"""# Demo gallery

What the model that ships with the course draws: digits of 8×8 pixels, without a GPU. Each command writes its pictures
in seconds; `make demo` draws the like, and grades a batch of sample submissions besides.

## Guidance sweep

![Digits for six guidance scales](sweep.png)
{{: .figure }}

Every column starts from one noise, and only the guidance scale w grows (w = 1: conditional). Below, what it does to
adherence (does a classifier see the class asked for?), distance to the real digits, and diversity, with 95 % intervals.

![Adherence, distance and diversity against the guidance scale](sweep_plot.png)
{{: .figure }}

    {SWEEP.format(out="build/sweep")}

## From noise to image

![The noisy image and what the network sees in it, from noise to digit](sample_trajectory.png)
{{: .figure }}

`xt` is what the network is given, `x0_hat` what it takes for the clean image, at nine of thirty DDIM steps.

    {WAY.format(out="build")}

## Class interpolation

One noise for a whole row; only the class embedding moves. Below each row, the same walk there and back, animated.

WALKS

    {WALK.format(out="build/interpolate")}

## EMA against raw weights

![Digits from averaged and raw weights](ema_raw.png)
{{: .figure }}

The same noises, drawn with the moving average of the weights and with the last step's own. `make demo` draws it, and
`ddpm sample --raw` samples with the raw weights.

## CIFAR-10, as far as a laptop goes

A network of 3 million parameters, trained on one core for less than an hour: 32×32 pixels in colour, ten classes, and
no measure of the method.

![CIFAR-10's classes for four guidance scales](cifar10/sweep.png)
{{: .figure }}

    {COLOUR_SWEEP.format(model=MODEL, out="build/cifar10")}

COLOUR_WALKS

    {COLOUR_WALK.format(model=MODEL, out="build/cifar10")}
"""


def walk(a: str, b: str, folder: str = "") -> str:
    strip = f"![From {a} to {b} in eleven pictures]({folder}interpolate_{a}_{b}.png)\n{{: .figure }}"
    return f"{strip}\n\n![From {a} to {b} and back, animated]({folder}interpolate_{a}_{b}.gif)\n{{: .figure .small }}"


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
    colour = "\n\n".join(walk(a, b, "cifar10/") for a, b in demo.COLOUR_PAIRS)
    walks = "\n\n".join(walk(a, b) for a, b in PAIRS)
    text = PAGE.replace("COLOUR_WALKS", colour).replace("WALKS", walks)
    (folder / "index.md").write_text(text, encoding="utf-8")
    return "gallery/index.md"
