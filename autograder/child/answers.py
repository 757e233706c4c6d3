"""The answer cells as a namespace, and what a student needs to know of an error in them."""

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

NAMESPACE_NOTE = "helpers of other cells are not seen by the grader: an answer cell must define what it needs"
SESSION_NOTE = "inputs and outputs of other cells are not there when the answer is graded"
SESSION = re.compile(r"name '(In|Out|_+\d*|_i+\d*|_[oid]h)' is not defined")
FUTURE = {getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}
LATER = __future__.annotations.compiler_flag


def load(
    cells: dict[str, str], supplied: dict[str, str], setup: dict[str, Any], note: Note = unheard
) -> dict[str, Any]:
    """Run answer cells (source by grade_id) as a kernel would, in a fresh `__main__`; the last one is forgotten.

    The namespace holds what the notebook's locked set-up cell imports: torch, nn, F, math and `setup`. `supplied` are
    the course's own answers of cells on which these build; the answer under judgement is never among them.
    """
    absent.forget()
    module = sys.modules["__main__"] = ModuleType("__main__")  # where dataclasses, pickle and typing look for names
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
            note(describe(error)["error"])  # what follows the answer, such as a plot, is no part of it
        if grade_id not in names:
            raise NameError(f"the answer cell `{grade_id}` does not define `{grade_id}`")
    return names


def run(source: str, cell: str, flags: int, names: dict[str, Any], note: Note) -> int:
    """Run one cell; what it imports from __future__, and those before it did.

    Where something is missing it is run again, without the packages that are not here, or with annotations that are
    only text: their names may come from another cell of the notebook.
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
    """The cell in which an error was raised; None where that was not a cell."""
    frames = traceback.extract_tb(error.__traceback__)
    return notebook.cell_of(frames[-1].filename) if frames else None


def describe(error: BaseException) -> dict[str, Any]:
    """The error's kind and text, and the student's own cell and line where it arose, or whence it came."""
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
    operations: Any, answers: dict[str, Any], header: dict[str, Any], tensors: dict[str, Any], note: Note = unheard
) -> tuple:
    """(answers, reply header, reply tensors) of one request: `load`, or an operation of the exercise."""
    with modes.kept(note):
        if header["op"] == "load":
            setup = operations.setup() if hasattr(operations, "setup") else {}
            return load(header["cells"], header.get("supplied", {}), setup, note), {}, {}
        return answers, *getattr(operations, header["op"])(answers, header, tensors)
