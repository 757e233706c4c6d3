"""Records as a table: for the terminal, as CSV, and on the demo's page."""

import csv
import io
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from autograder.exercises import of_assignment
from autograder.grading.private import write_text
from autograder.intake.problems import Problem
from autograder.intake.student_ids import folder_of
from ddpm_tools.tables import aligned

METRICS = {"adherence": ".0%", "distance": ".1f"}  # and how they are written, in the report as well
HEADER = ("student", "notebook", "outcome", "score", "adherence", "distance", "reason")
Absent = Mapping[str, Sequence[str]]  # who handed in nothing, by assignment
COLUMNS = ("student", "assignment", "notebook", "outcome", "score", "max_score", "adherence", "distance", "reason")


def rows(records: Sequence[dict]) -> list[list[str]]:
    """One row per notebook."""
    lines = []
    for rec in records:
        extra = rec["extra_data"]
        for name, n in extra["notebooks"].items():
            score = "—" if n["score"] is None else f"{n['score']:g} / {n['max_score']:g}"
            metrics = [f"{n['metrics'][k]:{how}}" if k in n["metrics"] else "—" for k, how in METRICS.items()]
            lines.append([extra["student"], name, n["outcome"], score, *metrics, n["reason"]])
    return lines


def text(records: Sequence[dict], width: int | None = None) -> str:
    """The table for a terminal: one line per notebook; long reasons are cut, and empty columns left out."""
    body = [[name if len(name) <= 40 else f"{name[:39]}…", *line] for name, *line in rows(records)]
    used = [i for i in range(len(HEADER)) if i < 4 or any(line[i] != "—" for line in body)]
    *header, last = (HEADER[i] for i in used)
    lines = [[line[i] for i in used] for line in body]
    sizes = [max(map(len, column)) for column in zip(header, *(line[:-1] for line in lines))]
    width = width or shutil.get_terminal_size((120, 24)).columns
    room = max(30, width - sum(sizes) - 2 * len(sizes))
    rule = ["-" * size for size in [*sizes, room]]
    return "\n".join(aligned([[*header, last], rule, *([*cells, _begun(reason, room)] for *cells, reason in lines)]))


def _begun(text: str, room: int) -> str:
    """The beginning of a long text; the report has all of it."""
    return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"


_UNSEEN = "\u115f\u1160\u2800\u3164\uffa0"  # invisible letters and signs, besides spaces, marks and controls


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, however it normalises text; a lone dash is not a formula.

    Characters before the sign may be dropped on the way: spaces, quotes, and invisible ones. Full-width and small
    forms of the sign, such as U+FF1D, count as the sign.
    """
    letters = unicodedata.normalize("NFKC", cell)
    shown = "".join(c for c in letters if unicodedata.category(c)[0] not in "CZM" and c not in _UNSEEN).lstrip("'\"`")
    formula = len(shown) > 1 and shown[0] in "=+-@\u2212"
    return f"'{cell}" if formula or cell.startswith(("\t", "\r", "\n")) else cell


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; text cells that a spreadsheet would run are quoted."""
    file = io.StringIO()
    # In quotes: with another list separator, a cell `a;=1` would become two.
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([harmless(c) if isinstance(c, str) else c for c in line] for line in lines)
    return file.getvalue()


def cells(
    records: Sequence[dict], problems: Iterable[Problem] = (), absent: Absent = MappingProxyType({})
) -> list[Sequence[object]]:
    """COLUMNS; one row per submission and notebook, per notebook of students who handed in nothing, and per problem."""
    lines: list[Sequence[object]] = [COLUMNS]
    for rec in records:
        extra = rec["extra_data"]
        for name, n in extra["notebooks"].items():
            numbers = ["" if n["score"] is None else n["score"], n["max_score"]]
            numbers += [n["metrics"].get(k, "") for k in METRICS]
            lines.append([extra["student"], extra["assignment"], name, n["outcome"], *numbers, n["reason"]])
    graded = {(r["extra_data"]["assignment"], name) for r in records for name in r["extra_data"]["notebooks"]}
    for assignment, students in absent.items():
        asked = [e for e in of_assignment(assignment) if (assignment, e.name) in graded]
        nothing = ["", "", "Nothing was handed in."]
        lines += [[s, assignment, e.name, "missing", 0.0, e.max_score, *nothing] for s in students for e in asked]
    lines += [[p.student, p.where, "", "problem", *[""] * 4, p.text] for p in problems]
    return lines


def write_csv(
    records: Sequence[dict], path: Path, problems: Iterable[Problem] = (), absent: Absent = MappingProxyType({})
) -> None:
    """`cells` as CSV."""
    write_text(path, csv_text(cells(records, problems, absent)))


def as_data(records: Sequence[dict]) -> list[dict[str, object]]:
    """`cells` for a program: unknown values are None."""
    return [{k: None if v == "" else v for k, v in zip(COLUMNS, row)} for row in cells(records)[1:]]


def submissions(records: Sequence[dict], folder: str = "") -> list[dict]:
    """For a page: each submission's checks, and the pictures of its gates in `folder`, relative to the page."""
    found = []
    for rec in records:
        extra = rec["extra_data"]
        place = folder + quote(f"{folder_of(extra['student'])}/{extra['assignment']}")
        pictures = {name: f"{place}/{name}.png" for name, n in extra["notebooks"].items() if n["metrics"]}
        checks = [[t["name"], f"{t['score']:g} / {t['max_score']:g}", t["output"]] for t in rec["tests"]]
        found.append({"student": extra["student"], "outcome": extra["outcome"], "checks": checks, "pictures": pictures})
    return found
