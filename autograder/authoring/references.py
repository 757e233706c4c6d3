"""Designs of the gated exercises: from some the gates' limits are made, with others these are put to the test.

The kind of each in exercises/NAME/references.txt says what it is for:

    reference      a right design that the limits are made from
    control        a known-bad one that they are made from
    unseen right   the limits were not made from these: benchmarks/gate_calibration.py tests the gate with them
    unseen wrong
    design         of the challenge tracks; the limits were not made from these either, and all are right
"""

from functools import cache
from pathlib import Path

from autograder.authoring.bank import Entry, read
from autograder.exercises import HERE


@cache
def designs(exercise: str) -> dict[str, Entry]:
    """By name."""
    return {entry.name: entry for entry in read(HERE / exercise / "references.txt")}


def names(exercise: str, kind: str) -> tuple[str, ...]:
    """The designs of one kind."""
    return tuple(name for name, entry in designs(exercise).items() if entry.kind == kind)


def cells(exercise: str, design: str) -> dict[str, str]:
    """The answer cells of a design."""
    return cells_of(designs(exercise)[design].source)


def cells_of(text: str) -> dict[str, str]:
    """The answer cells in a text: its blocks that begin with `# %% grade_id`."""
    blocks = f"\n{text}".split("\n# %% ")[1:]
    return {b.split("\n", 1)[0].strip(): b.split("\n", 1)[1].strip() + "\n" for b in blocks}


def cells_of_file(file: Path) -> dict[str, str]:
    return cells_of(file.read_text(encoding="utf-8"))
