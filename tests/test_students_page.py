"""What docs/students.md promises of points is what the notebooks give."""

import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| [^`]*`lessons/(\w+)\.ipynb` \| (.*?) \| [\d.]+ \| (\d+) \|$", re.M)


def points(assignment: str) -> dict[str, int]:
    """Exercise -> points of its notebook."""
    found = {}
    for path in (ROOT / "exercises" / assignment).glob("*.ipynb"):
        marks = [c.metadata.get("nbgrader", {}) for c in nbformat.read(path, as_version=4).cells]
        found[path.stem] = int(sum(m["points"] for m in marks if m.get("grade")))
    return found


def test_every_lesson_stands_there_with_its_exercises_and_points():
    rows = ROW.findall((ROOT / "docs/students.md").read_text(encoding="utf-8"))
    assert [lesson for lesson, _, _ in rows] == sorted(p.stem for p in ROOT.glob("lessons/*.ipynb"))
    for lesson, exercises, total in rows:
        said = {name: int(n) for name, n in re.findall(r"`(\w+)` (\d+)", exercises)}
        assert said == points(lesson) and int(total) == sum(said.values())
