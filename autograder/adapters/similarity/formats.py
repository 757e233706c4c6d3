"""Matches as a table, as CSV, and as a page that shows both texts side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.adapters import TEMPLATES
from autograder.adapters.similarity.compare import Match, Source, Span
from autograder.adapters.table import csv_text
from autograder.grading.private import write_text
from ddpm_tools.reports import html
from ddpm_tools.reports.html import percent
from ddpm_tools.tables import aligned

Found = tuple[str, str, Match]  # (assignment, exercise, match)
SHOWN = 200  # pairs with their texts in the page; the CSV has all
CONTEXT = 400  # characters of a long file of the course shown around what matches
HEADER = ("assignment", "notebook", "a", "b", "similarity", "share of a", "share of b")


def text(found: Sequence[Found]) -> str:
    """The table for a terminal."""
    lines = [[e, m.a.name[:40], m.b.name[:60], percent(m.similarity)] for _, e, m in found]
    return "\n".join(aligned([["notebook", "a", "b", "similarity"], *lines]))


def write_csv(found: Sequence[Found], path: Path) -> Path:
    """One row per pair."""
    lines = [
        [assignment, exercise, m.a.name, m.b.name, *(f"{x:.3f}" for x in (m.similarity, m.share_a, m.share_b))]
        for assignment, exercise, m in found
    ]
    write_text(path, csv_text([HEADER, *lines]))
    return path


def write_html(found: Sequence[Found], path: Path, **counts: Any) -> Path:
    """The page: what was compared (`counts`, as the template has them), the pairs of students, then the answers that
    are close to the course's own."""
    groups = {
        "Among students": [f for f in found if not f[2].b.ours],
        "With the course's own sources": [f for f in found if f[2].b.ours],
    }
    shown = {"title": "Similarity", "groups": groups, "pieces": pieces, "SHOWN": SHOWN}
    write_text(path, html.render(TEMPLATES / "similarity.html", **shown, **counts))
    return path


def pieces(source: Source, spans: Sequence[Span]) -> list[tuple[bool, str]]:
    """The text in pieces, each with whether it matches; of a long file of the course, only the surroundings."""
    found, at = [], 0
    for begin, end in sorted(spans):
        begin = max(begin, at)
        found += [(False, _between(source, at, begin)), (True, source.text[begin:end])]
        at = max(at, end)
    return [(matched, piece) for matched, piece in [*found, (False, _between(source, at, len(source.text)))] if piece]


def _between(source: Source, begin: int, end: int) -> str:
    if not source.ours or end - begin <= 2 * CONTEXT:
        return source.text[begin:end]
    return f"{source.text[begin : begin + CONTEXT]}\n[…]\n{source.text[end - CONTEXT : end]}"
