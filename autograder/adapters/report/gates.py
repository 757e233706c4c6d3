"""The gates' part of the report: where every trained answer fell among the limits, and what it drew."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.adapters.report.figures import FAILED, HELD, NOT_RUN, PART, Entry
from autograder.adapters.report.widgets import CSS_CLASS, card, esc, folded, key, percent, plural, stack
from autograder.gate.bands import Band, turned
from autograder.gate.plot import LABELS, samples_of
from ddpm_core.config import DATA_DIR

SHOWN = 24  # grids of an exercise before the rest is folded away
MOST = 60  # grids of an exercise in the page, about 15 KB each
ROWS = 3  # of dots on an axis, so that equal ones do not hide one another


def gate_section(group: Sequence[Entry], out: Path) -> str:
    """One gated exercise: credit, limits, samples. Nothing where no answer came as far as its gate."""
    exercise = group[0].exercise
    trained = [e for e in group if e.metrics and e.gate()]
    states = [v.state for e in group if (v := e.gate())]
    if not states:
        return ""
    counts = [(CSS_CLASS[s], states.count(s)) for s in (HELD, PART, FAILED, NOT_RUN)]
    words = ("full credit", "half credit", "no credit", "not trained, since a check failed first")
    legend = key([(c, f"{word}: {n}") for (c, n), word in zip(counts, words)])
    file = DATA_DIR / f"gates/{exercise}.json"
    axes = _axes(trained, json.loads(file.read_text(encoding="utf-8"))) if trained and file.is_file() else ""
    return f"<h3>{esc(exercise)}</h3>{stack(counts, 'credit of the gate')}{legend}{axes}{_gallery(trained, out)}"


def _axes(trained: Sequence[Entry], calibration: dict[str, Any], judge: str = "judge") -> str:
    bands = {k: Band(**v) for k, v in calibration["limits"][judge].items()}
    runs = [turned(r["metrics"][judge]) for r in calibration["runs"] if r["role"] == "reference"]
    own = [(e, turned({"adherence": 0.0, **e.metrics})) for e in trained]
    cards = ""
    for metric, band in bands.items():
        values = [(e, m[metric]) for e, m in own if math.isfinite(m[metric])]
        references = [m[metric] for m in runs]
        cards += card(LABELS.get(metric, metric), axis(values, band, references, metric in ("error", "copies")))
    note = "Each dot is a trained answer; to the left is better. The grey line spans the reference designs' runs."
    return f'<p class="dim">{note}</p><div class="cards">{cards}</div>'


def axis(values: Sequence[tuple[Entry, float]], band: Band, references: Sequence[float], shares: bool) -> str:
    """Dots among the zones of full, half and no credit; from 0 to 1, or on a logarithmic scale."""
    everything = [v for _, v in values] + [band.full, band.half, *references]
    low, high = (0.0, 1.0) if shares else (min(everything) / 1.15, max(everything) * 1.15)

    def at(value: float) -> float:
        share = (value - low) / (high - low) if shares else math.log(value / low) / math.log(high / low)
        return 100 * min(max(share, 0.0), 1.0)

    edges = [0.0, at(band.full), at(band.half), 100.0]
    zones = "".join(
        f'<span class="zone {kind}" style="left:{a:.2f}%;width:{b - a:.2f}%"></span>'
        for kind, a, b in zip(("held", "part", "failed"), edges, edges[1:])
    )
    left, right = at(min(references)), at(max(references))
    zones += f'<span class="known" style="left:{left:.2f}%;width:{max(right - left, 0.5):.2f}%"></span>'
    dots = "".join(
        f'<span class="dot" style="left:{at(v):.2f}%;top:{0.7 + 0.75 * (i % ROWS):.2f}rem"'
        f' title="{esc(e.student)}: {v:.3g}"></span>'
        for i, (e, v) in enumerate(sorted(values, key=lambda p: p[1]))
    )
    told = (f"{low:.2g}", f"full up to {band.full:.3g}, half up to {band.half:.3g}", f"{high:.3g}")
    ends = "".join(f"<span>{text}</span>" for text in told)
    return f'<div class="axis">{zones}{dots}</div><div class="ends">{ends}</div>'


def _gallery(trained: Sequence[Entry], out: Path) -> str:
    """The samples of each trained answer, the weakest first."""
    order = sorted(trained, key=lambda e: (e.gate().state != FAILED, e.gate().state != PART, -_badness(e), e.student))
    figures = [f for e in _chosen(order) if (f := _figure(e, out))]
    if not figures:
        return ""
    missing = len(trained) - len(figures)
    note = f"What {plural(len(figures), 'trained answer')} drew, the weakest first"
    note += f"; {missing} more have their pictures beside their records." if missing else "."
    page = f'<p class="dim">{note}</p><div class="grids">{"".join(figures[:SHOWN])}</div>'
    rest = figures[SHOWN:]
    return page + (folded(f"{len(rest)} more", f'<div class="grids">{"".join(rest)}</div>') if rest else "")


def _chosen(order: Sequence[Entry]) -> list[Entry]:
    """At most MOST: two thirds from the weak end, the rest spread evenly over the others."""
    if len(order) <= MOST:
        return list(order)
    weak, others = order[: 2 * MOST // 3], order[2 * MOST // 3 :]
    count = MOST - len(weak)
    return [*weak, *(others[round(i * (len(others) - 1) / (count - 1))] for i in range(count))]


def _badness(e: Entry) -> float:
    value = e.metrics.get("distance", math.inf)
    return value if math.isfinite(value) else math.inf


def _figure(e: Entry, out: Path) -> str:
    try:
        grid = samples_of(out / e.picture, labelled="adherence" in e.metrics)
    except OSError:  # not there, or no picture
        return ""
    file = io.BytesIO()
    grid.save(file, "WEBP", quality=60)
    source = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
    told = [f"distance {e.metrics['distance']:.1f}"] if "distance" in e.metrics else []
    told += [f"adherence {percent(e.metrics['adherence'])}"] if "adherence" in e.metrics else []
    text = f'<span class="clip"><span class="tag {CSS_CLASS[e.gate().state]}"></span>{esc(e.student)}</span>'
    text += esc(", ".join(told))
    return f'<figure><img src="{source}" alt="samples of {esc(e.student)}"><figcaption>{text}</figcaption></figure>'
