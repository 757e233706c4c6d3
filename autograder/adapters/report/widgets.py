"""Small pieces of HTML: bars, histograms, chips. Each takes plain values and escapes every text."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from autograder.adapters.report.figures import FAILED, HELD, NOT_RUN, PART

CSS_CLASS = {HELD: "held", PART: "part", FAILED: "failed", NOT_RUN: "none"}
SHOWN = 14  # names of a group before the rest is folded away


def esc(value: object) -> str:
    return html.escape(str(value), quote=True)


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def section(title: str, body: str, anchor: str) -> str:
    return f'<section id="{esc(anchor)}"><h2>{esc(title)}</h2>{body}</section>'


def card(title: str, body: str) -> str:
    return f'<div class="card"><h3>{esc(title)}</h3>{body}</div>'


def folded(summary: str, body: str, unfolded: bool = False) -> str:
    """`summary` is a text, `body` is HTML."""
    line = esc(summary if len(summary) <= 90 else f"{summary[:60]}…{summary[-24:]}")
    return f"<details{' open' if unfolded else ''}><summary>{line}</summary>{body}</details>"


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Large figures, each with what it counts."""
    cells = "".join(f'<div class="tile"><b>{esc(v)}</b><span>{esc(what)}</span></div>' for v, what in values)
    return f'<div class="tiles">{cells}</div>'


def histogram(counts: Sequence[int]) -> str:
    """Scores from 0 to full marks; the last bar is full marks alone."""
    most = max([*counts, 1])
    bars = ""
    for i, n in enumerate(counts):
        kind = "zero" if n == 0 else "top" if i == len(counts) - 1 else "some"
        number = f"<b>{n}</b>" if n else ""
        bars += f'<i class="{kind}" style="height:{75 * n / most:.1f}%">{number}</i>'
    told = "; ".join(f"{_bin(i, len(counts))}: {n}" for i, n in enumerate(counts) if n)
    ends = '<div class="ends"><span>0</span><span>score, % of points</span><span>full</span></div>'
    return f'<div class="hist" role="img" aria-label="{esc(told or "no scores")}">{bars}</div>{ends}'


def _bin(i: int, count: int) -> str:
    return "full marks" if i == count - 1 else f"{10 * i} to {10 * i + 10} %"


def stack(parts: Sequence[tuple[str, int]], label: str) -> str:
    """A bar divided in proportion; the parts are (CSS class, count)."""
    pieces = "".join(f'<i class="{esc(kind)}" style="flex:{n}"></i>' for kind, n in parts if n)
    return f'<div class="stack" role="img" aria-label="{esc(label)}">{pieces}</div>'


def state_stack(states: Mapping[str, int]) -> str:
    """How a check ended, over the class."""
    parts = [(CSS_CLASS[s], states.get(s, 0)) for s in (HELD, PART, FAILED, NOT_RUN)]
    return stack(parts, ", ".join(f"{s}: {states[s]}" for s in CSS_CLASS if states.get(s)))


def key(names: Sequence[tuple[str, str]]) -> str:
    """What the colours mean: (CSS class, text)."""
    cells = "".join(f'<span><i class="{esc(c)}"></i>{esc(text)}</span>' for c, text in names)
    return f'<div class="key">{cells}</div>'


def rows(lines: Sequence[tuple[str, str, str]]) -> str:
    """Lines of (text, bar as HTML, figure); on a narrow screen the text goes above its bar."""
    cells = (
        f'<div class="name">{esc(n)}</div><div>{bar}</div><div class="number">{esc(x)}</div>' for n, bar, x in lines
    )
    return f'<div class="rows">{"".join(cells)}</div>'


def chips(names: Sequence[str]) -> str:
    """Students' names; a long list is folded after the first ones."""

    def line(some: Sequence[str]) -> str:
        cells = "".join(f'<span title="{esc(n)}">{esc(n)}</span>' for n in some)
        return f'<div class="chips">{cells}</div>'

    if len(names) <= SHOWN + 3:
        return line(names)
    return line(names[:SHOWN]) + folded(f"and {len(names) - SHOWN} more", line(names[SHOWN:]))


def table(header: Sequence[str], lines: Sequence[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    """A table that scrolls by itself where the screen is narrow; `numbers` are the columns that align right."""
    head = "".join(f"<th>{esc(h)}</th>" for h in header)
    body = "".join(
        f"<tr>{''.join(f'<td{_n(i in numbers)}>{esc(c)}</td>' for i, c in enumerate(line))}</tr>" for line in lines
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _n(number: bool) -> str:
    return ' class="n"' if number else ""
