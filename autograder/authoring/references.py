"""Designs for the gated exercises. Some set the gates' limits, and others test these.

The kind of each design in exercises/NAME/references.txt says what it is for:

    reference      a right design that sets the limits
    control        a known-bad design that sets the limits
    unseen right   these do not set the limits: benchmarks/gate_calibration.py tests the gate with them
    unseen wrong
    design         from the challenge tracks; these do not set the limits either, and all are right
"""

from functools import cache
from pathlib import Path

from autograder.authoring.bank import Entry, read
from autograder.exercises import HERE


@cache
def designs(exercise: str) -> dict[str, Entry]:
    """Return an exercise's designs by name."""
    return {entry.name: entry for entry in read(HERE / exercise / "references.txt")}


def names(exercise: str, kind: str) -> tuple[str, ...]:
    """Return the names of the designs of one kind."""
    return tuple(name for name, entry in designs(exercise).items() if entry.kind == kind)


def cells(exercise: str, design: str) -> dict[str, str]:
    """Return the answer cells of a design."""
    return cells_of(designs(exercise)[design].source)


def cells_of(text: str) -> dict[str, str]:
    """Return the answer cells in a text: the blocks that begin with `# %% grade_id`."""
    blocks = f"\n{text}".split("\n# %% ")[1:]
    return {b.split("\n", 1)[0].strip(): b.split("\n", 1)[1].strip() + "\n" for b in blocks}


def cells_of_file(file: Path) -> dict[str, str]:
    return cells_of(file.read_text(encoding="utf-8"))
