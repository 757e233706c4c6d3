"""A right notebook to spoil, and where it is written."""

from __future__ import annotations

import json
from pathlib import Path

from autograder.exercises import EXERCISES

ROOT = Path(__file__).resolve().parents[3]
EXERCISE = EXERCISES["5_1_unconditional", "schedules"]
SOLUTION = ROOT / "solutions/5_1_unconditional/schedules.ipynb"
LINEAR, COSINE, NOISY = EXERCISE.answers
TEXT = SOLUTION.read_text(encoding="utf-8")


def cell(nb: dict, name: str) -> dict:
    return next(c for c in nb["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name)


def write(folder: Path, content: dict | str | bytes) -> Path:
    path = folder / "schedules.ipynb"
    content = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
