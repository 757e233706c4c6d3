"""One page that shows what the demo made: pictures, captions, and whatever tables are handed in."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ddpm_core.checkpoint import write_text
from ddpm_tools.evaluation.results import labelled

STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
img { max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 4px; }
figure { margin: 1rem 0 2rem; } figcaption { font-size: .9rem; opacity: .8; }
table { border-collapse: collapse; font-size: .9rem; } .scroll { overflow-x: auto; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
td:not(:last-child) { white-space: nowrap; }
.gifs { display: flex; gap: 1rem; flex-wrap: wrap; } .gifs img { image-rendering: pixelated; width: 128px; }
"""


@dataclass(frozen=True)
class Section:
    """A heading and the HTML under it."""

    title: str
    body: str


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table; every cell is escaped."""
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(file: str, caption: str) -> str:
    text = html.escape(caption)
    return f'<figure><img src="{html.escape(file)}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def colour_sections(out: Path) -> list[Section]:
    """What the CIFAR-10 model drew in out/cifar10; none where it did not."""
    folder = out / "cifar10"
    if not (folder / "sweep.json").is_file():
        return []
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    note = f"<p>{html.escape(about['note'])}</p>"
    first, *others = (replace(s, body=s.body.replace('src="', 'src="cifar10/')) for s in pictures(folder))
    return [
        Section(f"CIFAR-10: {s.title[0].lower()}{s.title[1:]}", s.body)
        for s in (replace(first, body=note + first.body), *others)
    ]


def sections(out: Path) -> list[Section]:
    """The demo's pictures, as far as they are there."""
    grid = Section("One row a class", figure("grid.png", "Ten samples of each class."))
    raw = Section("Averaged and raw weights", figure("ema_raw.png", "The same noise through both sets of weights."))
    return [grid, *pictures(out), raw, *colour_sections(out)]


def pictures(out: Path) -> list[Section]:
    """A model's guidance sweep and its walks from class to class."""
    scores = json.loads((out / "sweep.json").read_text(encoding="utf-8"))

    def cell(e: dict) -> str:
        return f"{e['value']:.3f} [{e['low']:.3f}, {e['high']:.3f}]"

    rows = [[f"{s['about']['w']:g}", *(cell(s[k]) for k in ("adherence", "distance", "diversity"))] for s in scores]
    about = scores[0]["about"]
    note = (
        f"n = {about['n']} a scale, {about['steps']} steps, {about['weights']} weights, seed {about['seed']}, "
        f"features and adherence of the {about['extractor']}, reference {labelled(about['reference'])}; brackets and "
        "bars: 95 % intervals over the images of this one run (Wilson's for adherence, random halves for the distance, "
        "bootstrap for diversity)."
    )
    strips = sorted(out.glob("interpolate_*.png"))
    gifs = "".join(f'<img src="{g.name}" alt="class interpolation {g.stem}">' for g in sorted(out.glob("*.gif")))
    return [
        Section(
            "Guidance sweep",
            figure("sweep.png", "Each column starts from one noise; only the guidance scale w changes.")
            + figure("sweep_plot.png", note)
            + table(["w", "adherence", "Fréchet distance", "diversity (real = 1)"], rows),
        ),
        Section(
            "From class to class",
            "".join(figure(s.name, "One noise; the class embedding moves.") for s in strips)
            + f'<div class="gifs">{gifs}</div>',
        ),
    ]


def write(
    out: Path,
    parts: Sequence[Section],
    title: str = "Conditional diffusion: digits, and CIFAR-10",
    name: str = "index.html",
) -> Path:
    """Write the page out/name."""
    body = "".join(f"<section><h2>{html.escape(p.title)}</h2>{p.body}</section>" for p in parts)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    text = (
        f'<!doctype html><html lang="en"><head>{head}<title>{html.escape(title)}</title><style>{STYLE}</style></head>'
    )
    write_text(out / name, f"{text}<body><h1>{html.escape(title)}</h1>{body}</body></html>\n")
    return out / name
