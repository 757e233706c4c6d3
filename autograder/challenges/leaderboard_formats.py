"""Writes the leaderboard as text for the terminal, as CSV, as JSON, and as one self-contained page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from autograder.adapters.table import csv_text
from autograder.challenges import TEMPLATES, figures, published
from autograder.challenges.leaderboard import Row
from autograder.challenges.tracks import EXTRACTOR, METRICS, TRACKS, Track
from ddpm_core.checkpoint import write_text
from ddpm_tools.outputs import json_text
from ddpm_tools.reports import html
from ddpm_tools.tables import aligned

MARK = {"better": "▲ better", "worse": "▼ worse"}


def text(track: Track, table: Sequence[Row]) -> str:
    """Return the table for the terminal: the quick tier on the left, the published results on the right."""
    shown = [m for m in ("distance", "adherence", "heldout_loss") if m in track.metrics]
    head = ["", "entry", "kind", "seeds", *(METRICS[m].title for m in shown), f"Δ from {track.baseline}"]
    beside = () if track.evaluations else published.SCALES
    lines = [[*head, *(["|"] if beside else []), *(f"FID {s}" for s in beside)]]
    for r in table:
        own = [figures.shown(r.means.get(m), m) for m in shown]
        change = figures.shown(r.difference, "distance") + f" {r.against}" if r.difference else r.against or "–"
        lines.append([str(r.rank or ""), r.entry, r.kind, str(r.seeds or "–"), *own, change])
        lines[-1] += ["|", *map(r.fid, beside)] if beside else []
    measured = f"{track.protocol}; distances in {EXTRACTOR}; mean over seeds with its 95 % interval, Δ paired by seed"
    notes = [f"left of the bar: the quick tier: {measured}", NOTE] if beside else [measured]
    return "\n".join([track.name, *aligned(lines), *notes])


NOTE = f"right of it: published ({published.PROTOCOL}; {published.EXTRACTOR}); the two cannot be compared"


def as_csv(tables: Mapping[str, Sequence[Row]]) -> str:
    """Return one row per design. The quick tier's columns and the published ones have their own names."""
    parts = [f"quick_{m}{end}" for m in METRICS for end in ("", "_low", "_high")]
    rest = ["quick_difference", "quick_difference_low", "quick_difference_high", "quick_against_baseline"]
    head = ["track", "rank", "entry", "kind", "quick_extractor", "quick_seeds", *parts, *rest]
    lines = [[*head, "published_extractor", *(f"published_fid_{s}" for s in published.SCALES)]]
    for name, table in tables.items():
        for r in table:
            quick: list[object] = [EXTRACTOR if r.means else "", r.seeds or ""]
            for e in (*(r.means.get(m) for m in METRICS), r.difference):
                quick += [_number(x) for x in (e.value, e.low, e.high)] if e else ["", "", ""]
            fids = [r.published.fid.get(s, "") if r.published else "" for s in published.SCALES]
            far = published.EXTRACTOR if r.published else ""
            lines.append([name, r.rank or "", r.entry, r.kind, *quick, r.against, far, *fids])
    return csv_text(lines)


def as_json(tables: Mapping[str, Sequence[Row]], waiting: Mapping[str, Sequence[str]]) -> str:
    """Return each track's rows, and who has tested but not submitted."""
    rows = {name: [asdict(r) | {"samples": r.samples and str(r.samples)} for r in rs] for name, rs in tables.items()}
    return json_text({"tracks": rows, "not_submitted": dict(waiting)}, indent=1, ensure_ascii=False)


def _number(x: float) -> float | int:
    """Round to six digits. A number, since in text a minus sign would be taken for the start of a formula."""
    rounded = float(f"{x:.6g}")
    return int(rounded) if rounded.is_integer() else rounded


def write_csv(tables: Mapping[str, Sequence[Row]], out: Path) -> Path:
    write_text(out / "leaderboard.csv", as_csv(tables))
    return out / "leaderboard.csv"


def write_html(tables: Mapping[str, Sequence[Row]], out: Path, waiting: Mapping[str, Sequence[str]], head: str) -> Path:
    """Write out/leaderboard.html and return its path. `head` is the hash of the log, for others to keep."""
    tracks = []
    for name, table in tables.items():
        ran = [r for r in table if r.means]  # in the quick tier
        metrics = [m for m in TRACKS[name].metrics if any(m in r.means for r in ran)]
        there = sorted((r for r in table if r.published), key=lambda r: r.published.fid.get("small", float("inf")))
        tracks.append((TRACKS[name], metrics, [_shown(r, metrics) for r in ran], there, waiting.get(name, ())))
    shown = {"title": "Challenge leaderboard", "tracks": tracks, "log_head": head, "published": published}
    constants = {"METRICS": METRICS, "EXTRACTOR": EXTRACTOR}
    return html.write(out / "leaderboard.html", TEMPLATES / "leaderboard.html", **shown, **constants)


def _shown(r: Row, metrics: Sequence[str]) -> dict:
    """Return a row of the quick tier. Each cell is a value and its interval; the difference also has its verdict."""
    cells = [figures.shown(r.means.get(m), m).partition(" ")[::2] for m in metrics]
    value, _, interval = figures.shown(r.difference, "distance").partition(" ")
    cells.insert(1, (value, " ".join(x for x in (interval, MARK.get(r.against, r.against)) if x)))
    image = html.data_uri(r.samples.read_bytes()) if r.samples else ""
    return {
        "rank": r.rank or "–",
        "entry": r.entry,
        "about": f"{r.kind}, {r.seeds} seeds",
        "cells": cells,
        "image": image,
    }
