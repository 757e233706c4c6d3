"""The answer cells as a namespace, and what a student needs to know of an error in them."""

import math
import traceback
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

NAMESPACE_NOTE = "helpers of other cells are not seen by the grader: an answer cell must define what it needs"


def load(cells: dict[str, str], supplied: dict[str, str], setup: dict[str, Any]) -> dict[str, Any]:
    """Run answer cells (source by grade_id) in one fresh namespace; what an earlier answer left behind is undone.

    The namespace holds what the notebook's locked set-up cell imports: torch, nn, F, math and `setup`. `supplied` are
    the course's own answers of cells on which these build; the answer under judgement is never among them.
    """
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "math": math, "__name__": "answers", **setup}
    for grade_id, source in {**supplied, **cells}.items():
        exec(compile(source, f"<{grade_id}>" if grade_id in cells else f"supplied {grade_id}", "exec"), names)
        if grade_id not in names:
            raise NameError(f"the answer cell `{grade_id}` does not define `{grade_id}`")
    return names


def describe(error: BaseException) -> dict[str, Any]:
    """The error's kind and text, and the cell and line where it arose (or where it went into what was supplied)."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("<")]
    where = frames[-1] if frames else None
    if isinstance(error, SyntaxError) and error.filename:
        cell, line = error.filename.strip("<>"), error.lineno
    else:
        cell, line = (where.filename.strip("<>"), where.lineno) if where else (None, None)
    text = str(error)[:300]
    if isinstance(error, NameError) and not text.startswith("the answer cell"):
        text += f" ({NAMESPACE_NOTE})"
    hidden = getattr(error, "hidden_answer", None)
    return {"error": {"kind": type(error).__name__, "text": text, "cell": cell, "line": line, "hidden": hidden}}


def reply(operations: Any, answers: dict[str, Any], header: dict[str, Any], tensors: dict[str, Any]) -> tuple:
    """(answers, reply header, reply tensors) of one request: `load`, or an operation of the exercise."""
    if header["op"] == "load":
        setup = operations.setup() if hasattr(operations, "setup") else {}
        return load(header["cells"], header.get("supplied", {}), setup), {}, {}
    return answers, *getattr(operations, header["op"])(answers, header, tensors)
