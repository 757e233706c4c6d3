"""Hints for `autograder check`: one more after each failure of a check, from general to specific, three in all.

The first is the check's own message. The others are data: `hints.txt` in the exercise's folder, and beside the folders
for shared checks. A file beside the notebook counts how often a check has failed, until it passes.
"""

import contextlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from autograder import exercises
from autograder.exercises.base import Exercise
from autograder.grading.results import NotebookResult, Test

FILE = "hints.txt"


def after(result: NotebookResult, notebook: Path) -> str:
    """What to fix first, and the next hint for it; "" if there is none. Keeps count in a file beside the notebook."""
    counts = {name: n for name, n in read(notebook).items() if name in failing(result)}
    test = first_to_mend(result)
    if test:
        counts[test.name] = counts.get(test.name, 0) + 1
    keep(notebook, counts)
    if not test:
        return ""
    every = (test.output, *hints(result.exercise, test.name))
    level = min(counts[test.name], len(every))
    more = " If it fails again, you get the next hint." if level < len(every) else ""
    told = " is its message above." if level == 1 else f": {every[level - 1]}"
    return f"Start with “{test.name}”. Hint {level} of {len(every)}{told}{more}"


def failing(result: NotebookResult) -> dict[str, Test]:
    """The tests that failed, in the exercise's order."""
    return {t.name: t for t in result.all_tests() if not t.passed}


def first_to_mend(result: NotebookResult) -> Test | None:
    """The first check that failed by itself, not because its answer was not loaded (then all its tests say so)."""
    failed = failing(result)
    for check in result.exercise.checks:
        same = [failed[c.name].output for c in result.exercise.checks_of(check.answer or "") if c.name in failed]
        if check.name in failed and (len(same) < 2 or len(set(same)) > 1):
            return failed[check.name] if result.outcome == "graded" else None
    return None


def hints(exercise: Exercise, check: str) -> Sequence[str]:
    """The second and third hints for a check, if there are any."""
    shared = check.partition(": ")[2] or check
    return table(exercises.HERE / exercise.name / FILE).get(check) or table(exercises.HERE / FILE).get(shared) or ()


@cache
def table(file: Path) -> dict[str, tuple[str, ...]]:
    """Hints by the name of their check: in each block, the first line is the name and the others are hints."""
    if not file.is_file():
        return {}
    blocks = file.read_text(encoding="utf-8").strip().split("\n\n")
    lines = (block.splitlines() for block in blocks if not block.startswith("#"))
    return {name: tuple(rest) for name, *rest in lines}


def counts_file(notebook: Path) -> Path:
    return notebook.with_name(f".{notebook.stem}_hints.json")


def read(notebook: Path) -> dict[str, int]:
    """How often each check has failed; nothing if the file is not ours."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(counts_file(notebook).read_text(encoding="utf-8"))
        if isinstance(found, dict) and all(type(n) is int for n in found.values()):
            return found
    return {}


def keep(notebook: Path, counts: dict[str, int]) -> None:
    """Write the counts, or remove the file if all is well. In a read-only folder nothing is remembered."""
    file = counts_file(notebook)
    with contextlib.suppress(OSError):
        if counts:
            file.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
        else:
            file.unlink(missing_ok=True)
