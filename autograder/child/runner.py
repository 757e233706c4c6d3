"""Runs student code and answers the parent's requests with data. It is trusted with nothing.

It sees the answer cells, the part of `ddpm_core` that the exercise allows, and inputs; never expected values, limits,
the judging classifier or held-out images. What it returns is checked and judged by the parent.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import traceback
from typing import Any

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # isolated mode leaves the script's folder out
import protocol

NAMESPACE_NOTE = "helpers of other cells are not seen by the grader: an answer cell must define what it needs"


def load_answers(header: dict[str, Any]) -> dict[str, Any]:
    """Run the answer cells in one namespace that holds what the notebook's locked set-up cell imports."""
    import torch.nn.functional as F
    from torch import nn

    from ddpm_core.layers import AdaLNBlock, CrossAttentionLayer

    answers = {"torch": torch, "nn": nn, "F": F, "math": math, "__name__": "answers"}
    answers |= {"CrossAttentionLayer": CrossAttentionLayer, "AdaLNBlock": AdaLNBlock}
    for grade_id, source in header["cells"].items():
        exec(compile(source, f"<{grade_id}>", "exec"), answers)
        if grade_id not in answers:
            raise NameError(f"the answer cell `{grade_id}` does not define `{grade_id}`")
    return answers


def describe(error: BaseException) -> dict[str, Any]:
    """What a student needs to find the error: its kind and text, and the cell and line where it arose."""
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


def main() -> None:
    wire_in, wire_out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # whatever student code prints goes to stderr, never into the protocol
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    protocol.write_message(wire_out, {"ready": True})
    answers: dict[str, Any] = {}
    operations: Any = None
    while message := protocol.read_message(wire_in):
        header, tensors = message
        try:
            if header["op"] == "load":
                operations = importlib.import_module(header["operations"])
                answers = load_answers(header)
                reply: tuple[dict, dict] = ({}, {})
            else:
                reply = getattr(operations, header["op"])(answers, header, tensors)
            frame = protocol.encode(*reply)
        except BaseException as error:  # sys.exit included: student code does not decide when the questions end
            frame = protocol.encode(describe(error))
        wire_out.write(frame)
        wire_out.flush()


if __name__ == "__main__":
    main()
