"""Matches as a table, as CSV, and as a page that shows both texts side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from autograder.adapters.report.style import document
from autograder.adapters.report.widgets import esc, folded, percent, plural, table
from autograder.adapters.similarity.compare import Match, Source, Span
from autograder.adapters.table import harmless

Found = tuple[str, str, Match]  # (assignment, exercise, match)
SHOWN = 200  # pairs with their texts in the page; the CSV has all
CONTEXT = 400  # characters of a long file of the course shown around what matches
CSS = """<style>
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: .8rem; }
.pair pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: .6rem; font-size: .8rem; margin: .2rem 0; } mark { background: #e8a33d55; color: inherit; }
</style>"""
HEADER = ("assignment", "notebook", "a", "b", "similarity", "share of a", "share of b")


def text(found: Sequence[Found]) -> str:
    """The table for a terminal."""
    lines = [(e, m.a.name[:40], m.b.name[:60], percent(m.similarity)) for _, e, m in found]
    sizes = [max(len(line[i]) for line in [("notebook", "a", "b", ""), *lines]) for i in range(3)]
    head = "  ".join(w.ljust(n) for w, n in zip(("notebook", "a", "b"), sizes)) + "  similarity"
    return "\n".join([head, *("  ".join([*(w.ljust(n) for w, n in zip(x, sizes)), x[3]]) for x in lines)])


def as_csv(found: Sequence[Found]) -> str:
    """One line a pair."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    for assignment, exercise, m in found:
        shares = [f"{x:.3f}" for x in (m.similarity, m.share_a, m.share_b)]
        writer.writerow([assignment, exercise, harmless(m.a.name), harmless(m.b.name), *shares])
    return file.getvalue()


def as_html(found: Sequence[Found], threshold: float, compared: int, short: int) -> str:
    """The page: what was compared, the pairs of students, then the answers that are close to the course's own."""
    students = [f for f in found if not f[2].b.ours]
    ours = [f for f in found if f[2].b.ours]
    note = (
        f"{plural(compared, 'notebook')} compared; pairs of which at least {percent(threshold)} match are listed. "
        f"{plural(short, 'notebook')} had too little of {'its' if short == 1 else 'their'} own to compare. "
        "Names, strings, comments and the order of parts count for nothing, nor does what the released notebook holds "
        "or most of the class has. A match is a reason to look, never a proof: short formulas have few right forms."
    )
    body = f"{CSS}<h1>Similarity</h1><p class='dim'>{note}</p>"
    body += '<p><input id="filter" type="search" placeholder="filter by student" aria-label="filter by student"></p>'
    body += f"<h2>Among students</h2>{_pairs(students)}<h2>With the course's own sources</h2>{_pairs(ours)}"
    return document("Similarity", body)


def _pairs(found: Sequence[Found]) -> str:
    if not found:
        return "<p>None.</p>"
    more = f"<p>{len(found) - SHOWN} more are in the CSV alone.</p>" if len(found) > SHOWN else ""
    lines = [
        [e, m.a.name, m.b.name, percent(m.similarity), percent(m.share_a), percent(m.share_b)]
        for _, e, m in found[:SHOWN]
    ]
    header = ["notebook", "a", "b", "similarity", "of a", "of b"]
    return table(header, lines, numbers=(3, 4, 5)) + more + "".join(_pair(e, m) for _, e, m in found[:SHOWN])


def _pair(exercise: str, m: Match) -> str:
    sides = ""
    for source, spans, share in ((m.a, m.spans_a, m.share_a), (m.b, m.spans_b, m.share_b)):
        sides += f"<div><b>{esc(source.name)}</b> ({percent(share)})<pre>{_marked(source, spans)}</pre></div>"
    title = f"{exercise}: {m.a.name[:30]} and {m.b.name[:40]}, {percent(m.similarity)}"
    who = f"{m.a.name} {m.b.name}"
    return f'<div class="person" data-who="{esc(who)}">{folded(title, f"<div class=pair>{sides}</div>")}</div>'


def _marked(source: Source, spans: Sequence[Span]) -> str:
    """The text with what matches marked; of a long file of the course, only the surroundings."""
    parts, at = [], 0
    for begin, end in sorted(spans):
        begin = max(begin, at)
        parts += [_between(source, at, begin), f"<mark>{esc(source.text[begin:end])}</mark>" if end > begin else ""]
        at = max(at, end)
    return "".join([*parts, _between(source, at, len(source.text))])


def _between(source: Source, begin: int, end: int) -> str:
    if not source.ours or end - begin <= 2 * CONTEXT:
        return esc(source.text[begin:end])
    return f"{esc(source.text[begin : begin + CONTEXT])}\n[…]\n{esc(source.text[end - CONTEXT : end])}"
