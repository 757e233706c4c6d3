"""The class at a glance: one HTML file made from a batch's records, for the instructor only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autograder.adapters import TEMPLATES
from autograder.adapters.report import class_results
from autograder.adapters.report.entries import STATES, entries
from autograder.adapters.report.gates import gate
from autograder.adapters.report.needs import needs
from autograder.adapters.report.notes import Notes
from autograder.grading import private
from autograder.grading.progress import span
from autograder.grading.results import GATE, OUTCOMES, UNUSABLE
from autograder.intake.problems import Problem
from ddpm_tools.reports import html

FEW = 3  # a property judged on fewer answers says nothing about a class
OFTEN = 0.2  # a property on which this share of answers loses points stands out
SLOWEST = 10  # notebooks listed by time
NOTHING = Notes()
STOPPED = "What the answer returned stopped a check, which gave no points; the traceback is in instructor.json."
MEANING = {
    "graded": "the checks ran",
    "timeout": "an answer did not return in time",
    "crash": "an answer crashed, or could not be loaded",
    "invalid_output": "an answer returned something unusable",
    "missing": "no notebook, no answer cell, or only the stub",
    "infrastructure_error": "the grader itself failed, so there is no score; run the same command to grade it again",
}


def values(records: Sequence[dict], out: Path, problems: Sequence[Problem], notes: Notes) -> dict[str, Any]:
    """The template's values. Pictures of gates are read from the folder `out`, where the grader put them."""
    found = entries(records)
    groups = class_results.by_exercise(found)
    checks = {key: class_results.checks(group) for key, group in groups.items()}
    ranked = sorted((c for own in checks.values() for c in own if c.check != GATE), key=lambda c: -c.failing)
    timed = sorted((e for e in found if e.timings.get("total")), key=lambda e: -e.timings["total"])
    total = sum(e.timings.get("total", 0.0) for e in found)
    gates = [g for group in groups.values() if (g := gate(group, out))]
    stopped = tuple(Problem(student, name, STOPPED) for student, name in unusable(records))
    return {
        "title": "Class report",
        "assignments": list(dict.fromkeys(e.assignment for e in found)),
        "records": len(records),
        "needs": needs(found, problems, replace(notes, flags=notes.flags + stopped), notes.absent(records)),
        "notes": notes,
        "unsandboxed": sum(not r["extra_data"].get("sandboxed", True) for r in records),
        "found": found,
        "students": class_results.by_student(found),
        "exercises": groups,
        "overall": class_results.scores(found),
        "scores": {key: class_results.scores(group) for key, group in groups.items()},
        "worst": next((c for c in ranked if c.judged >= FEW and c.failing >= OFTEN), None),
        "losing": [c for c in ranked if c.failing > 0],
        "checks": checks,
        "misconceptions": class_results.misconceptions(found),
        "outcomes": {key: Counter(e.outcome for e in group) for key, group in groups.items()},
        "meaning": {o: MEANING[o] for o in OUTCOMES if any(e.outcome == o for e in found)},
        "gates": gates,
        "slowest": timed[:SLOWEST],
        "time": span(total),
        "mean_time": f"{total / max(1, len(found)):.1f} s",
        "STATES": STATES,
    }


def unusable(records: Sequence[dict]) -> list[tuple[str, str]]:
    """(student, notebook) if a check stopped because of what the answer returned."""
    every = ((r["extra_data"]["student"], *n) for r in records for n in r["extra_data"]["notebooks"].items())
    return [(student, name) for student, name, n in every if n.get("code") == UNUSABLE]


def write(records: Sequence[dict], out: Path, problems: Sequence[Problem] = (), notes: Notes = NOTHING) -> Path:
    """Write OUT/report.html; ValueError if there is no record."""
    if not records:
        raise ValueError(f"there is no record to report on in {out}; grade something first")
    page = html.render(TEMPLATES / "class_report.html", **values(records, out, problems, notes))
    private.write_text(out / "report.html", page)
    return out / "report.html"
