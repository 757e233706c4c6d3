"""Reads files of known answers: exercises/NAME/mutants.txt and exercises/NAME/references.txt.

=== q_sample                        a section; its first answer is the base of the edits below
--- right: view                     an answer: its kind and its name
(source)
--- wrong: minus
loses: the noise is scaled; own     any number of `loses: text` and `about: text` lines
- x_0 + (1                          an edit of the base: this text, which must occur once, …
+ x_0 - (1                          … becomes this. An edit can span lines, and several can follow one another
(or, in place of edits, a source)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NOTE = re.compile(r"(loses|about): (.*)\n")


@dataclass(frozen=True)
class Entry:
    """One known answer."""

    section: str
    kind: str
    name: str
    notes: dict[str, str]
    source: str


def read(file: Path) -> Iterator[Entry]:
    """Yield a file's answers in order; ValueError if an edit does not match exactly once, or a name occurs twice."""
    for part in file.read_text(encoding="utf-8").split("\n=== ")[1:]:
        section, text = part.split("\n", 1)
        base, names = "", set()
        for block in text.split("\n--- ")[1:]:
            title, body = block.split("\n", 1)
            kind, name = title.split(": ", 1)
            if name in names:
                raise ValueError(f"{file.parent.name}, {section}: two answers are called {name!r}")
            names.add(name)
            notes = {}
            while found := NOTE.match(body):
                notes[found[1]], body = found[2], body[found.end() :]
            source = edited(base, body)
            base = base or source
            yield Entry(section.strip(), kind, name, notes, source)


def edited(base: str, body: str) -> str:
    """Return the body itself, or the base with the body's edits, or the base if there is no body."""
    if not body.strip():
        return base
    if not body.startswith("- "):
        return body.strip("\n") + "\n"
    edits: list[tuple[list[str], list[str]]] = []
    for line in body.strip("\n").split("\n"):
        if line.startswith("- ") and (not edits or edits[-1][1]):  # a `-` after a `+` starts another edit
            edits.append(([], []))
        edits[-1][line.startswith("+")].append(line[2:])
    for old, new in edits:
        base = replaced(base, "\n".join(old), "\n".join(new))
    return base


def replaced(source: str, old: str, new: str) -> str:
    if source.count(old) != 1:
        raise ValueError(f"the edit of {old!r} matches {source.count(old)} times in its base, not once:\n{source}")
    return source.replace(old, new)
