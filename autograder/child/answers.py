"""Runs the answer cells in a namespace, and describes an error in them for the student."""

import __future__

import math
import re
import sys
import traceback
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autograder.child import absent, annotations, modes, notebook
from autograder.child.notebook import Note, unheard
from autograder.child.remote import Evaluate

NAMESPACE_NOTE = "the grader does not see helpers in other cells: an answer cell must define what it needs"
SESSION_NOTE = "inputs and outputs of other cells are not there when the answer is graded"
SESSION = re.compile(r"name '(In|Out|_+\d*|_i+\d*|_[oid]h)' is not defined")
FUTURE = {getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}
LATER = __future__.annotations.compiler_flag


def load(
    cells: dict[str, str], supplied: dict[str, str], setup: dict[str, Any], note: Note = unheard
) -> dict[str, Any]:
    """Run answer cells (source by grade_id) as a kernel would, in a fresh `__main__`, and return their namespace.

    The namespace holds what the notebook's locked set-up cell imports: torch, nn, F, math and `setup`. `supplied` are
    the course's own answers to cells on which these build, never to the cell being judged. Raises what a cell raises,
    and NameError if a cell does not define its grade_id. An error after that definition only becomes a note.
    """
    absent.forget()
    module = sys.modules["__main__"] = ModuleType("__main__")  # dataclasses, pickle and typing look up names here
    names = vars(module)
    names |= {"torch": torch, "nn": nn, "F": F, "math": math, **setup}
    names |= notebook.names_of_ipython(names, note, mentioned=any("IPython" in source for source in cells.values()))
    flags = 0
    for grade_id, source in {**supplied, **cells}.items():
        before = names.get(grade_id)
        try:
            flags = run(source, grade_id if grade_id in cells else f"supplied {grade_id}", flags, names, note)
        except (Exception, SystemExit) as error:
            if names.get(grade_id) is before or getattr(error, "hidden_answer", None):
                raise
            note(describe(error)["error"])  # what follows the definition, such as a plot, is not part of the answer
        if grade_id not in names:
            raise NameError(f"the answer cell `{grade_id}` does not define `{grade_id}`")
    return names


def run(source: str, cell: str, flags: int, names: dict[str, Any], note: Note) -> int:
    """Run one cell, and return `flags` with what it imports from __future__ added.

    If something is missing, the cell is run again: with stand-ins for missing packages, or with annotations kept as
    text, since their names may come from another cell of the notebook.
    """
    code = notebook.compiled(source, cell, flags, note)
    flags |= sum(flag for flag in FUTURE if code.co_flags & flag)
    if not flags & LATER and annotations.unknown(source, names):
        code = notebook.compiled(source, cell, flags | LATER, note)
    with absent.absence() as absence:
        while True:
            try:
                notebook.run(code, names)
                return flags
            except ImportError as error:
                if innermost(error) != cell or not absence.stand_in(error):
                    raise
                package, _, name = absence.names[-1].rpartition(".")
                if package not in absence.names:
                    note(f"absent: {name if package == error.name else error.name}")
            except NameError:
                if code.co_flags & LATER:
                    raise
                code = notebook.compiled(source, cell, flags | LATER, note)


def innermost(error: BaseException) -> str | None:
    """Return the cell in which an error was raised; None if it was raised outside any cell."""
    frames = traceback.extract_tb(error.__traceback__)
    return notebook.cell_of(frames[-1].filename) if frames else None


def describe(error: BaseException) -> dict[str, Any]:
    """Return the error's kind and text, with the cell and line of the innermost frame in the student's own code."""
    places = [(notebook.cell_of(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((notebook.cell_of(error.filename), error.lineno))
    own = [place for place in places if place[0] and not place[0].startswith("supplied ")]
    cell, line = own[-1] if own else (None, None)
    text = str(error.msg if isinstance(error, SyntaxError) else error)[:300]
    if SESSION.match(text):
        text += f" ({SESSION_NOTE})"
    elif type(error) is NameError and "is not defined" in text:
        text += f" ({NAMESPACE_NOTE})"
    hidden = getattr(error, "hidden_answer", None)
    return {"error": {"kind": type(error).__name__, "text": text, "cell": cell, "line": line, "hidden": hidden}}


def reply(
    operations: Any,
    answers: dict[str, Any],
    header: dict[str, Any],
    tensors: dict[str, Any],
    note: Note = unheard,
    evaluate: Evaluate | None = None,
) -> tuple:
    """Carry out one request, `load` or an operation of the exercise: (answers, reply header, reply tensors).

    `evaluate` calls the parent's model; it is passed on if the request says that there is one.
    """
    more = {"evaluate": evaluate} if header.get("served") else {}
    with modes.kept(note):
        if header["op"] == "load":
            setup = operations.setup() if hasattr(operations, "setup") else {}
            return load(header["cells"], header.get("supplied", {}), setup, note), {}, {}
        return answers, *getattr(operations, header["op"])(answers, header, tensors, **more)
