"""What a student is told of the notes from an answer's process. The notes may say anything, so the remarks are in our
words, with a name or a line found in the student's own cell."""

import re
from collections.abc import Iterable

NOTE = re.compile(r"(compiled|left out|absent|mode)(?:: (\S.{0,60}))?")
MODES = (
    *("default dtype", "gradient mode", "number of threads", "default device", "autocast", "anomaly detection"),
    *("precision of products", "deterministic algorithms"),
)
COMPILED = (
    "the grader does not use torch.compile and torch.jit: it ran the code without them, and you lost no points for that"
)
MOST = 5


def worded(notes: Iterable[str], cells: dict[str, str]) -> list[str]:
    """A few remarks for the student, from notes that may say anything."""
    found = (NOTE.fullmatch(note) for note in notes)
    texts = dict.fromkeys(_worded(note[1], note[2] or "", cells) for note in found if note)
    return [text for text in texts if text][:MOST]


def _worded(kind: str, about: str, cells: dict[str, str]) -> str | None:
    if kind == "compiled":
        return COMPILED
    if kind == "mode" and about in MODES:
        return f"your code changes torch's {about} for the whole process; the grader restored it"
    if kind == "absent" and any(_imports(source, about) for source in cells.values()):
        return (
            f"the grader does not have `{about}`, only the course's packages (requirements.lock); it ran the rest "
            "without it"
        )
    if kind == "left out" and (line := _line(about, cells)):
        return f"the grader does not run commands and magics: it skipped {line}"
    return None


def _imports(source: str, name: str) -> bool:
    return bool(re.search(rf"^[ \t]*(?:import|from)[ \t][^\n]{{0,200}}(?<![\w.]){re.escape(name)}(?!\w)", source, re.M))


def _line(about: str, cells: dict[str, str]) -> str | None:
    cell, _, number = about.rpartition(" ")
    lines = cells.get(cell, "").split("\n")
    if not re.fullmatch(r"[1-9]\d{0,4}", number) or int(number) > len(lines):
        return None
    text = lines[int(number) - 1].strip()
    marked = re.search(r"[%!?]", text) or "get_ipython" in text
    return f"line {number} of the cell `{cell}` (`{text[:60]}`)" if marked else None
