"""Records which variant of the exercises each student was given: variants.json beside submitted/.

`autograder release` writes it. It holds the seed, the students' variants, and the texts that identify a variant's
notebooks, so that later changes to a solution do not matter. Variant 0 is the one in exercises/.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from autograder.intake.extract import Unreadable, read_notebook, source_of
from autograder.intake.problems import Problem
from autograder.intake.student_ids import spelt
from autograder.intake.submissions import Submission

FILE = "variants.json"
SHOWN = 3  # students of a variant who are named


@dataclass(frozen=True)
class Variants:
    """What was released. `texts` lists each notebook's (ASSIGNMENT/NAME) texts by variant, the published one first."""

    seed: int
    students: dict[str, int] = field(default_factory=dict)
    texts: dict[str, list[list[str]]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The number of variants besides the published one."""
        return max((len(each) for each in self.texts.values()), default=1) - 1

    def shown(self, variant: int) -> str:
        """Return a variant and who has it, in words."""
        whose = sorted(s for s, v in self.students.items() if v == variant)
        more = f" and {len(whose) - SHOWN} more" if len(whose) > SHOWN else ""
        if not variant:
            return "the published notebook"
        return f"variant {variant} (of {', '.join(whose[:SHOWN])}{more})" if whose else f"variant {variant}"

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def beside(submitted: Path, names: Iterable[str] = ()) -> Variants | None:
    """Return the record beside the folder of submissions, if there is one, with students spelt as in `names`."""
    file = submitted.resolve().parent / FILE
    if not file.is_file():
        return None
    found = read(file)
    known = spelt(found.students, names)
    return Variants(found.seed, {known[s]: v for s, v in found.students.items()}, found.texts)


def read(file: Path) -> Variants:
    """Read a record; ValueError, in one sentence, for a file that is not one."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        variants = Variants(found["seed"], found["students"], found["texts"])
        there = range(variants.number + 1)
        odd = [s for s, v in variants.students.items() if v not in there]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{file} is not a record of variants; move it away, and release them again") from None
    if odd:
        raise ValueError(f"{file} gives {odd[0]} a variant that was not released; there are 1 to {variants.number}")
    return variants


def strangers(variants: Variants, submissions: Iterable[Submission]) -> list[Problem]:
    """Return a problem for each notebook that holds all the numbers of another variant, and not those of its own.

    A notebook in which a student changed a number to try something matches no variant, and is not named.
    """
    found = []
    for s in submissions:
        own = variants.students.get(s.student)
        for name, file in s.files.items() if own is not None and not s.problem_of_folder() else ():
            every = variants.texts.get(f"{s.assignment}/{name}", [])
            text = _text(file)
            if own >= len(every) or _holds(text, every[own]):
                continue
            if fitting := [v for v, texts in enumerate(every) if texts and _holds(text, texts)]:
                whose = " or ".join(map(variants.shown, fitting[:SHOWN]))
                why = f"{name}.ipynb has the numbers of {whose}, not of variant {own}, which the student was given"
                found.append(Problem(s.student, s.assignment, f"{why}; no points were taken off: see whose work it is"))
    return found


def _text(file: Path) -> str:
    """Return all text in a submitted notebook on one line; "" if it cannot be read."""
    try:
        cells = read_notebook(file)["cells"]
    except (Unreadable, OSError):
        return ""
    return " ".join(word for cell in cells if isinstance(cell, dict) for word in source_of(cell).split())


def _holds(text: str, texts: Iterable[str]) -> bool:
    """Whether each of these occurs in the text, and not only as part of a longer number or name."""
    return all(re.search(rf"(?<![\w.]){re.escape(' '.join(t.split()))}(?!\w|[.,]\d)", text) for t in texts)
