"""Matches as a table, as CSV, and as a page that shows both texts side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.adapters import TEMPLATES
from autograder.adapters.similarity.compare import Match, Source, Span
from autograder.adapters.similarity.groups import Found, Group, group_of, groups, where
from autograder.adapters.table import csv_text
from autograder.grading.private import write_text
from ddpm_tools.reports import html
from ddpm_tools.reports.html import percent
from ddpm_tools.tables import aligned

SHOWN = 200  # pairs with their texts on the page; the CSV has all
CONTEXT = 400  # characters of a long file of the course shown around what matches
HEADER = ("assignment", "notebook", "group", "a", "answer", "b", "where", "similarity", "share of a", "share of b")


def text(found: Sequence[Found]) -> str:
    """For a terminal: the groups, then the answers that match the course's own."""
    together = [
        [g.name, str(len(g.students)), str(g.pairs), between(g), begun(", ".join(g.students), 60), likened(g)[:60]]
        for g in groups(found)
    ]
    ours = [[e, m.a.name[:40], part(m), percent(m.similarity), source(m)[:90]] for _, e, m in found if m.b.ours]
    tables = [
        [["group", "students", "pairs", "similarity", "who", "also like"], *together],
        [["notebook", "student", "answer", "similarity", "is like"], *ours],
    ]
    return "\n\n".join("\n".join(aligned(table)) for table in tables if table[1:]) or "no two answers are alike"


def as_data(found: Sequence[Found]) -> list[dict[str, object]]:
    """Every pair, by HEADER, as in the CSV."""
    return [dict(zip(HEADER, row)) for row in rows(found)]


def begun(names: str, most: int) -> str:
    return names if len(names) <= most else f"{names[: most - 1]}…"


def between(g: Group) -> str:
    """The similarity of a group's pairs."""
    low, high = percent(g.lowest), percent(g.highest)
    return low if low == high else f"{low}–{high}"


def likened(g: Group) -> str:
    """The course's sources that members' answers are like: they may have copied these, not each other."""
    return "; ".join(f"{shortly(name)} ({n} of {len(g.students)})" for name, n in g.course.items())


def shortly(name: str) -> str:
    return name.removeprefix("course: ")


def part(m: Match) -> str:
    """The answer cell that an answer of several cells has in common with the course; "all" if it is all of them."""
    return m.a.part or "all"


def source(m: Match) -> str:
    """Where in the course an answer is found."""
    place = where(m.b, m.spans_b)
    return f"{shortly(m.b.name)}: {place}" if place else shortly(m.b.name)


def rows(found: Sequence[Found]) -> list[list[str]]:
    """HEADER, one row per pair."""
    together, lines = groups(found), []
    for assignment, exercise, m in found:
        group, shares = group_of(together, assignment, exercise, m), (m.similarity, m.share_a, m.share_b)
        place = where(m.b, m.spans_b) if m.b.ours else ""
        row = [assignment, exercise, group, m.a.name, m.a.part, m.b.name, place]
        lines.append([*row, *(f"{x:.3f}" for x in shares)])
    return lines


def write_csv(found: Sequence[Found], path: Path) -> Path:
    """`rows` as CSV."""
    write_text(path, csv_text([HEADER, *rows(found)]))
    return path


def write_html(found: Sequence[Found], path: Path, **counts: Any) -> Path:
    """The page: what was compared (`counts`, as in the template), groups of students, their pairs, then answers
    that are close to the course's own."""
    pairs = {
        "Among students": [f for f in found if not f[2].b.ours],
        "With the course's own sources": [f for f in found if f[2].b.ours],
    }
    shown = {"title": "Similarity", "pairs": pairs, "groups": groups(found), "pieces": pieces, "SHOWN": SHOWN}
    shown |= {"between": between, "likened": likened, "part": part, "source": source}
    write_text(path, html.render(TEMPLATES / "similarity.html", **shown, **counts))
    return path


def pieces(source: Source, spans: Sequence[Span]) -> list[tuple[bool, str]]:
    """The text in pieces, each with whether it matches; for a long file of the course, only near the matches."""
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
