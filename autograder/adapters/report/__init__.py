"""The class at a glance: one HTML file made from the records of a batch, for the instructor's eyes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autograder.adapters.report import figures, sections
from autograder.adapters.report.gates import gate_section
from autograder.adapters.report.style import document
from autograder.adapters.report.widgets import esc, section
from ddpm_core.checkpoint import write_text


def page(records: Sequence[dict], out: Path) -> str:
    """The report's HTML. Pictures of gates are taken from the folder `out`, where the grader put them."""
    found = figures.entries(records)
    groups = figures.misconceptions(found)
    parts = {
        "Scores": sections.score_cards(found),
        "Properties": sections.properties(found),
        "Shared misconceptions": sections.shared(groups),
        "Outcomes": sections.outcomes(found),
        "Gates": "".join(gate_section(group, out) for group in figures.by_exercise(found).values()),
        "Slowest": sections.slowest(found),
        "Grades": '<p><input id="filter" type="search" placeholder="filter by student" aria-label="filter by student">'
        f"</p>{sections.gradesheet(found)}",
        "Students": sections.people(found),
    }
    parts = {title: body for title, body in parts.items() if body}
    links = "".join(f'<a href="#{_anchor(title)}">{esc(title)}</a>' for title in parts)
    title = "Class report"
    about = ", ".join(dict.fromkeys(e.assignment for e in found))
    body = f'<h1>{title}</h1><p class="dim">{esc(about)}</p>{_warning(records)}{sections.overview(found)}'
    body += f"<nav>{links}</nav>{section('What stands out', sections.news(found, groups), 'news')}"
    body += "".join(section(title, part, _anchor(title)) for title, part in parts.items())
    return document(f"{title}: {about}", body)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _warning(records: Sequence[dict]) -> str:
    bare = sum(not r["extra_data"].get("sandboxed", True) for r in records)
    if not bare:
        return ""
    return f'<p class="warn"><b>{bare} of {len(records)} graded without a sandbox: not of record.</b></p>'


def write(records: Sequence[dict], out: Path) -> Path:
    """Write OUT/report.html; ValueError where there is no record."""
    if not records:
        raise ValueError(f"there is no record to report on in {out}; grade something first")
    write_text(out / "report.html", page(records, out))
    return out / "report.html"
