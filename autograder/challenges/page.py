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
    )


def _track(track: Track, table: Sequence[Row], waiting: Sequence[str]) -> str:
    here = [r for r in table if r.means]
    there = [r for r in table if r.published]
    grid = "display:grid;gap:1rem 2rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))"
    left = f"<div><h3>Quick tier, here</h3>{_quick(track, here)}</div>"
    right = f"<div><h3>Published, CIFAR-10</h3>{_published(there)}</div>"
    body = f'<p class="dim">Open: {esc(track.open.replace("`", ""))}.</p><div style="{grid}">{left}{right}</div>'
    if pictures := "".join(_picture(r) for r in here if r.samples):
        body += f'<h3>Samples of the first seed</h3><div class="grids">{pictures}</div>'
    if waiting:
        lines = "".join(f"<li>{esc(w)}</li>" for w in waiting)
        body += folded("tested, not submitted", f"<ul>{lines}</ul>")
    return body


def _quick(track: Track, table: Sequence[Row]) -> str:
    titles = [METRICS[m].title for m in track.metrics]
    head = ["", "entry", "kind", "seeds", titles[0], f"Δ from {track.baseline}", "", *titles[1:]]
    lines = ""
    for i, r in enumerate(table):
        first = [str(i + 1), r.entry, r.kind, str(r.seeds), _estimate(r, "distance")]
        first += [figures.shown(r.difference, "distance"), MARK.get(r.against, r.against)]
        lines += _line(r, [*first, *(_estimate(r, m) for m in track.metrics[1:])])
    return _table(head, lines)


def _published(table: Sequence[Row]) -> str:
    lines = ""
    for r in sorted(table, key=lambda r: r.published.fid.get("small", float("inf"))):
        lines += _line(r, [r.entry, r.published.kind, *(r.fid(s) for s in published.SCALES)])
    return _table(["entry", "kind", *(f"FID, {s}" for s in published.SCALES)], lines)


def _line(r: Row, cells: Sequence[str]) -> str:
    body = "".join(f"<td>{esc(c)}</td>" for c in cells)
    return f'<tr data-who="{esc(r.entry)}">{body}</tr>'


def _table(head: Sequence[str], lines: str) -> str:
    titles = "".join(f"<th>{esc(h)}</th>" for h in head)
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def _estimate(r: Row, metric: str) -> str:
    return figures.shown(r.means.get(metric), metric)


def _picture(r: Row) -> str:
    data = base64.b64encode(r.samples.read_bytes()).decode()
    alt = f"samples of {r.entry}"
    return (
        f'<figure data-who="{esc(r.entry)}"><img src="data:image/png;base64,{data}" alt="{esc(alt)}">'
        f"<figcaption>{esc(r.entry)}</figcaption></figure>"
    )
