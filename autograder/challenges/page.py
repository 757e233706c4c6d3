"""The leaderboard as one page that needs no other file: light and dark, on a phone, with samples."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from autograder.adapters.report.style import document
from autograder.adapters.report.widgets import esc, folded, section
from autograder.challenges import figures, published
from autograder.challenges.board import Row
from autograder.challenges.tracks import EXTRACTOR, METRICS, PROTOCOL, TRACKS, Track
from ddpm_core.checkpoint import write_text
from ddpm_tools.evaluation.estimates import Estimate

MARK = {"better": "▲ better", "worse": "▼ worse", "not resolved": "not resolved"}


def write(
    tables: Mapping[str, Sequence[Row]],
    out: Path,
    waiting: Mapping[str, Sequence[str]] = MappingProxyType({}),
    head: str = "",
) -> Path:
    """Write OUT/leaderboard.html. `head` is the hash of the log, for others to keep."""
    body = "<h1>Challenge leaderboard</h1>" + _about()
    body += '<p><input id="filter" type="search" placeholder="filter by entry" aria-label="filter by entry"></p>'
    links = "".join(f'<a href="#{esc(name)}">{esc(name)}</a>' for name in tables)
    body += f"<nav>{links}</nav>"
    for name, table in tables.items():
        body += section(name, _track(TRACKS[name], table, waiting.get(name, ())), name)
    if head:
        body += f'<p class="dim">Head of the log: <code>{esc(head)}</code></p>'
    write_text(out / "leaderboard.html", document("Challenge leaderboard", body))
    return out / "leaderboard.html"


def _about() -> str:
    return (
        "<p><b>Two measurements that do not compare.</b> The table of the quick tier is what a test measures: "
        f"{esc(PROTOCOL)}; distances in {esc(EXTRACTOR)}. The published table is {esc(published.PROTOCOL)}; "
        f"{esc(published.EXTRACTOR)}. They stand beside each other, never in one column.</p>"
        "<p>Baselines and designs on record are the published ones, trained here; <i>ours</i> are the course's own; "
        "<i>reference</i> designs are those that the gate's limits come from. Among the published entries, "
        "<i>vanilla</i> ones are a language model's design made in one answer, <i>agent</i> ones with test runs.</p>"
    )


def _track(track: Track, table: Sequence[Row], waiting: Sequence[str]) -> str:
    here = [r for r in table if r.means]
    there = [r for r in table if r.published]
    grid = "display:flex;flex-wrap:wrap;gap:1rem 2rem"  # beside each other where both fit whole
    left = f'<div style="max-width:100%"><h3>Quick tier, here</h3>{_quick(track, here)}</div>'
    right = f'<div style="max-width:100%"><h3>Published, CIFAR-10</h3>{_published(there)}</div>'
    body = f'<p class="dim">Open: {esc(track.open.replace("`", ""))}.</p><div style="{grid}">{left}{right}</div>'
    if pictures := "".join(_picture(r) for r in here if r.samples):
        body += f'<h3>Samples of the first seed</h3><div class="grids">{pictures}</div>'
    if waiting:
        lines = "".join(f"<li>{esc(w)}</li>" for w in waiting)
        body += folded("tested, not submitted", f"<ul>{lines}</ul>")
    return body


def _quick(track: Track, table: Sequence[Row]) -> str:
    """Metrics that no design has are left out."""
    metrics = [m for m in track.metrics if any(m in r.means for r in table)]
    titles = [METRICS[m].title for m in metrics]
    lines = ""
    for i, r in enumerate(table):
        cells = [
            str(i + 1),
            _two(r.entry, f"{r.kind}, {r.seeds} seeds"),
            _estimate(r.means.get(metrics[0]), metrics[0]),
        ]
        cells.append(_estimate(r.difference, "distance", MARK.get(r.against, r.against)))
        lines += _line(r, [*cells, *(_estimate(r.means.get(m), m) for m in metrics[1:])])
    return _table(["", "entry", titles[0], f"Δ from {track.baseline}", *titles[1:]], lines)


def _published(table: Sequence[Row]) -> str:
    lines = ""
    for r in sorted(table, key=lambda r: r.published.fid.get("small", float("inf"))):
        lines += _line(r, [_two(r.entry, r.published.kind), *(esc(r.fid(s)) for s in published.SCALES)])
    return _table(["entry", *(f"FID, {s}" for s in published.SCALES)], lines)


def _line(r: Row, cells: Sequence[str]) -> str:
    """A row of cells that are HTML."""
    body = "".join(f"<td>{c}</td>" for c in cells)
    return f'<tr data-who="{esc(r.entry)}">{body}</tr>'


def _table(head: Sequence[str], lines: str) -> str:
    titles = "".join(f"<th>{esc(h)}</th>" for h in head)
    table = f"<thead><tr>{titles}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="scroll"><table style="white-space:nowrap;font-size:.78rem">{table}</table></div>'


def _two(above: str, below: str) -> str:
    """A text, and a fainter one under it."""
    return f'{esc(above)}<br><span class="dim">{esc(below)}</span>' if below else esc(above)


def _estimate(e: Estimate | None, metric: str, told: str = "") -> str:
    """The value above its interval and what is told of it."""
    value, _, interval = figures.shown(e, metric).partition(" ")
    return _two(value, " ".join(x for x in (interval, told) if x))


def _picture(r: Row) -> str:
    data = base64.b64encode(r.samples.read_bytes()).decode()
    alt = f"samples of {r.entry}"
    return (
        f'<figure data-who="{esc(r.entry)}"><img src="data:image/png;base64,{data}" alt="{esc(alt)}">'
        f"<figcaption>{esc(r.entry)}</figcaption></figure>"
    )
