"""The demo's page: the pictures and results in its folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpm_core.checkpoint import write_text
from ddpm_tools.evaluation.estimates import Estimate
from ddpm_tools.evaluation.results import for_readers
from ddpm_tools.reports import html, one_page
from ddpm_tools.tables import value_and_interval

TEMPLATE = html.TEMPLATES / "demo.html"
LAB = "lab.html"  # the guidance laboratory, beside the page
TITLE = "Conditional diffusion, drawn on this machine"
DIGITS = "The 8×8 digits of scikit-learn: so small that a network learns them in about a minute."


@dataclass(frozen=True)
class Walk:
    """From one class to another: a strip, and an animation back and forth."""

    a: str  # the class it starts from
    b: str  # the class it ends at
    strip: str  # the picture's file name
    gif: str  # the animation's file name


@dataclass(frozen=True)
class Drawn:
    """A model's pictures, and what its guidance sweep measured."""

    folder: str  # of the pictures, relative to the page: "" or "cifar10/"
    note: str  # a sentence about the model
    about: dict[str, Any]  # what the sweep's results depend on
    rows: list[list[str]]  # rows of the sweep: w and the metrics
    walks: list[Walk]  # the interpolations


def walk(strip: Path) -> Walk:
    """The walk in a file that `demo.interpolate` wrote."""
    a, _, b = strip.stem.removeprefix("interpolate_").partition("_")
    return Walk(a, b, strip.name, f"{strip.stem}.gif")


def drawn(folder: Path, below: str = "", note: str = DIGITS) -> Drawn:
    """The contents of the folder, which is the page's own or the subfolder `below`."""
    scores = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    metrics = ("adherence", "distance", "diversity")
    rows = [[f"{s['about']['w']:g}", *(value_and_interval(Estimate(**s[m]), ".3f") for m in metrics)] for s in scores]
    about = scores[0]["about"] | {"reference": for_readers(scores[0]["about"]["reference"])}
    return Drawn(below, note, about, rows, [walk(p) for p in sorted(folder.glob("interpolate_*.png"))])


def models(out: Path) -> dict[str, Drawn]:
    """The demo's models by name, colour first; CIFAR-10 is left out if the demo had no model for it."""
    found, colour = {}, out / "cifar10"
    if (colour / "sweep.json").is_file():
        note = json.loads((colour / "model.json").read_text(encoding="utf-8"))["note"]
        found["CIFAR-10"] = drawn(colour, "cifar10/", note)
    return found | {"Digits": drawn(out)}


def write(out: Path, template: Path = TEMPLATE, **more: Any) -> Path:
    """Write out/index.html; another template can show `more` below the pictures."""
    if one_page.LAB.is_file():  # the students' bundle contains it already
        write_text(out / LAB, one_page.one_page(one_page.LAB, [("The demo", "index.html")]))
        more["lab"] = LAB
    return html.write(out / "index.html", template, title=TITLE, models=models(out), **{"lab": None} | more)
