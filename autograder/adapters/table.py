"""Records as a table: for the terminal, as CSV, and as one page."""

from __future__ import annotations

import csv
import html
import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

from autograder.intake.student_ids import folder_of
from ddpm_core.checkpoint import write_text
from ddpm_tools.reports import page

HEADER = ("student", "outcome", "score", "adherence", "distance", "reason")


def rows(records: Sequence[dict]) -> list[list[str]]:
    """One line a notebook."""
    lines = []
    for rec in records:
        extra = rec["extra_data"]
        for n in extra["notebooks"].values():
            score = "—" if n["score"] is None else f"{n['score']:g} / {n['max_score']:g}"
            metrics = [f"{n['metrics'][k]:.2f}" if k in n["metrics"] else "—" for k in ("adherence", "distance")]
            lines.append([extra["student"], n["outcome"], score, *metrics, n["reason"]])
    return lines


def text(records: Sequence[dict], width: int = 120) -> str:
    """The table for a terminal, the reason wrapped."""
    body = [[name if len(name) <= 40 else f"{name[:39]}…", *line] for name, *line in rows(records)]
    sizes = [max(len(line[i]) for line in [list(HEADER), *body]) for i in range(5)]
    room = max(30, width - sum(sizes) - 10)
    out = []
    for line in [list(HEADER), ["-" * s for s in sizes] + ["-" * room], *body]:
        wrapped = textwrap.wrap(line[5], room) or [""]
        out.append("  ".join([*(c.ljust(s) for c, s in zip(line, sizes)), wrapped[0]]).rstrip())
        out += [" " * (sum(sizes) + 10) + w for w in wrapped[1:]]
    return "\n".join(out)


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def write_csv(records: Sequence[dict], path: Path) -> None:
    """One line a submission and notebook."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["student", "assignment", "notebook", "outcome", "score", "max_score", "adherence", "distance", "reason"]
    )
    for rec in records:
        extra = rec["extra_data"]
        for name, n in extra["notebooks"].items():
            score = "" if n["score"] is None else n["score"]
            metrics = [n["metrics"].get(k, "") for k in ("adherence", "distance")]
            line = [
                extra["student"],
                extra["assignment"],
                name,
                n["outcome"],
                score,
                n["max_score"],
                *metrics,
                n["reason"],
            ]
            writer.writerow([harmless(c) if isinstance(c, str) else c for c in line])
    write_text(path, file.getvalue())


def details(rec: dict, folder: str) -> str:
    """One submission: its checks, and the samples where there are any."""
    extra = rec["extra_data"]
    lines = [[t["name"], f"{t['score']:g} / {t['max_score']:g}", t["output"]] for t in rec["tests"]]
    pictures = "".join(
        page.figure(
            f"{folder}/{name}.png", f"{extra['student']}, {name}: where the trained answer fell, and what it drew"
        )
        for name, n in extra["notebooks"].items()
        if n["metrics"]
    )
    title = f"{extra['student']}: {extra['outcome']}"
    tests = page.table(["test", "score", "what it says"], lines)
    return f"<details><summary>{html.escape(title)}</summary>{tests}{pictures}</details>"


def grade_sections(records: Sequence[dict], prefix: str = "") -> list[page.Section]:
    """The grade table and every submission's details, for a page that lies `prefix` above the records."""
    from urllib.parse import quote

    parts = [
        details(r, prefix + quote(f"{folder_of(r['extra_data']['student'])}/{r['extra_data']['assignment']}"))
        for r in records
    ]
    note = (
        ""
        if all(r["extra_data"].get("sandboxed", True) for r in records)
        else ("<p><strong>Graded without a sandbox: these grades are not of record.</strong></p>")
    )
    return [
        page.Section("Grades", note + page.table(HEADER, rows(records))),
        page.Section("Submissions", "".join(parts)),
    ]


def write_report(records: Sequence[dict], out: Path) -> Path:
    """OUT/report.html: the class at a glance."""
    from autograder.adapters import report

    return report.write(records, out)
