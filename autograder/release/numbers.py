"""Replaces the numbers that differ between variants of a notebook, which are marked in its solution.

In a code cell that is not an answer, a comment above an assignment lists the alternatives to its right-hand side:

    # variants: 0.2, 0.7 | 0.4, 0.9
    a, b = 0.3, 0.8

At the end of a model answer in words, a table has a row for each variant. Its first row is the text as written:

    <!-- variants:
    error of 0.01 | 640 | 1.6
    error of 0.02 | 1,280 | 3.2
    -->

These texts are replaced in the answer and in the question, which is the cell above. The choices for different comments
and tables are independent. The marks themselves are not released.
"""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from nbformat.notebooknode import NotebookNode
from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_solution
from traitlets import List

from ddpm_core.streams import derive_seed

CODE = re.compile(r"^(?P<indent> *)# variants: (?P<others>.+)\n(?P=indent)(?P<names>[\w, ]+ = )(?P<first>.+)$", re.M)
WORDS = re.compile(r"\s*<!-- variants:\n(?P<rows>.+?)\n-->\s*\Z", re.S)
LEFT_OVER = re.compile(r"^ *# variants:|<!-- variants:", re.M)


class Numbers(NbGraderPreprocessor):
    """The release step that inserts a variant's numbers: those chosen by `drawn`, or else those written there."""

    drawn = List(help="For each mark in the notebook, in order, the number of the chosen alternative").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        return with_numbers(nb, self.drawn), resources


# Ours comes before nbgrader's own steps, one of which removes the model answers.
STEPS = [Numbers, *GenerateAssignment.class_traits()["preprocessors"].default()]


def alternatives(nb: NotebookNode) -> list[int]:
    """Return how many alternatives each mark has, in the notebook's order; ValueError if a mark cannot be read."""
    return [len(rows) for cell in nb.cells for rows in [*_codes(cell), *_tables(cell)]]


def with_numbers(nb: NotebookNode, drawn: Sequence[int] = ()) -> NotebookNode:
    """Change the notebook in place: insert the drawn numbers and remove the marks. Returns the notebook."""
    choices = list(drawn) or [0] * len(alternatives(nb))
    for above, cell in pairwise([None, *nb.cells]):
        for rows in _codes(cell):
            right = rows[choices.pop(0)]
            cell.source = CODE.sub(rf"\g<indent>\g<names>{right}", cell.source, count=1)
        for rows in _tables(cell):
            cell.source = WORDS.sub("", cell.source)
            _replace(rows[0], rows[choices.pop(0)], above, cell)
    return nb


def texts(nb: NotebookNode, drawn: Sequence[int]) -> list[str]:
    """Return the texts that identify a variant of a released notebook: drawn lines of code and texts in questions."""
    choices, found = list(drawn), []
    for above, cell in pairwise([None, *nb.cells]):
        found += [m["names"] + rows[choices.pop(0)] for m, rows in zip(CODE.finditer(cell.source), _codes(cell))]
        for rows in _tables(cell):
            row = rows[choices.pop(0)]
            found += [new for old, new in zip(rows[0], row) if _pattern([old]).search(above.source)]
    return found


def draw(seed: int, name: str, counts: Sequence[int]) -> list[tuple[int, ...]]:
    """Return all choices for a notebook in random order, so that variants only repeat once all have been used."""
    total = math.prod(counts)
    order = sorted(range(total), key=lambda i: derive_seed(seed, name, i))
    return [tuple(i // math.prod(counts[:k]) % n for k, n in enumerate(counts)) for i in order]


def _codes(cell: NotebookNode) -> list[list[str]]:
    """Return the alternatives for the right-hand side of each marked assignment, the written one first."""
    if cell.cell_type != "code":
        return []
    found = [[m["first"], *map(str.strip, m["others"].split(" | "))] for m in CODE.finditer(cell.source)]
    if len(found) < len(LEFT_OVER.findall(cell.source)) or (found and is_solution(cell)):
        where = "above an assignment, indented like it, in a cell that is not an answer"
        raise ValueError(f"cell {cell.id}: `# variants: …` belongs {where}")
    return found


def _tables(cell: NotebookNode) -> list[list[list[str]]]:
    """Return the rows of a model answer's table, in a list, or an empty list if it has none."""
    table = WORDS.search(cell.source) if cell.cell_type == "markdown" else None
    if not table:
        return []
    rows = [[text.strip() for text in row.split(" | ")] for row in table["rows"].splitlines()]
    if not is_solution(cell) or len({len(row) for row in rows}) != 1:
        raise ValueError(f"cell {cell.id}: a table of variants must end a model answer and have rows of equal length")
    return [rows]


def _pattern(some: Sequence[str]) -> re.Pattern[str]:
    """Match any of these texts, wherever lines break, but not as part of a longer number."""
    each = (r"\s+".join(map(re.escape, text.split())) for text in sorted(some, key=len, reverse=True))
    return re.compile(rf"(?<!\d)(?<!\d[.,])(?:{'|'.join(each)})(?![.,]?\d)")


def _replace(old: Sequence[str], new: Sequence[str], *cells: NotebookNode) -> None:
    """Replace all texts at once, so that none is replaced twice; ValueError if a text does not occur."""
    by_text = dict(zip(old, new))
    seen: set[str] = set()

    def other(found: re.Match[str]) -> str:
        text = " ".join(found[0].split())
        seen.add(text)
        return by_text[text]

    for cell in cells:
        cell.source = _pattern(old).sub(other, cell.source)
    if missing := by_text.keys() - seen:
        where = "neither in it nor in the one above"
        raise ValueError(f"cell {cells[-1].id}: '{min(missing)}' of its table of variants occurs {where}")
