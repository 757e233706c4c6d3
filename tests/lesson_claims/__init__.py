"""What a lesson's text says in numbers, and the same numbers from the lesson's own variables.

Beside this file, one module a lesson: MEASURED is code that runs in the lesson's kernel after its last cell and
gathers them in RESULTS; CLAIMS says which words of which cell quote which of them; `holds` judges what is said without
a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nbformat import NotebookNode


@dataclass(frozen=True)
class Claim:
    """A pattern with a group for each number, found once in a cell, and the values that the run gives."""

    cell: str  # id
    words: str  # a regular expression; a blank in it matches any white space
    values: Callable[[dict], Sequence[float]]  # RESULTS -> one for each group
    within: float  # absolute: rounding, and what another machine's arithmetic may change


def pattern(claim: Claim) -> re.Pattern:
    return re.compile(claim.words.replace(" ", r"\s+"))


def wrong(nb: NotebookNode, claims: Iterable[Claim], results: dict) -> list[str]:
    """The claims whose words are not there once, or whose numbers are not those of the run."""
    texts, found = {c.id: c.source for c in nb.cells}, []
    for claim in claims:
        matches = list(pattern(claim).finditer(texts.get(claim.cell, "")))
        if len(matches) != 1:
            found.append(f"{claim.cell}: '{claim.words}' is there {len(matches)} times")
            continue
        for said, value in zip(matches[0].groups(), claim.values(results), strict=True):
            if not abs(float(said.replace(",", "")) - value) <= claim.within:
                found.append(f"{claim.cell}: '{matches[0].group()}' says {said}, the run {value:.4g}")
    return found


def unclaimed(nb: NotebookNode, claims: Sequence[Claim], settings: Iterable[str]) -> list[str]:
    """Decimals and percentages in the cells that read results (ids end with -reading) which no claim recomputes.

    settings: numbers that the reader or the lesson chose, or that a paper reports.
    """
    left = []
    for cell in (c for c in nb.cells if c.id.endswith("-reading")):
        text = cell.source.split("## Where to go on")[0]
        for claim in claims:
            if claim.cell == cell.id:
                text = pattern(claim).sub(" ", text)
        for aside in (r"(?m)^>.*$", r"\]\(\S*\)", r"(lesson|sections?) [\d.]+", r"\$\$[^$]*\$\$", r"`[^`]*`"):
            text = re.sub(aside, " ", text)
        numbers = re.findall(r"(?<![\d.e])\d+(?:\.\d+| %)(?:e-?\d+)?", text)
        left += [f"{cell.id}: {n}" for n in numbers if n not in settings]
    return left
