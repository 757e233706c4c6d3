"""Runs student code and answers the parent's requests with data. Nothing it says is trusted.

It sees the answer cells, the part of `ddpm_core` that the exercise allows, and inputs. It never sees expected values,
limits, the judging classifier or held-out images. The parent checks and judges what it returns.
"""

import importlib
import os
import sys
from typing import Any

os.environ["PYTORCH_JIT"] = "0"  # makes torch.jit leave networks as they are written

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # isolated mode omits the script's folder
from autograder.child import answers as cells
from autograder.child import modes, protocol, remote

MOST = 10  # notes sent with one reply


def main() -> None:
    wire_in, wire_out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # whatever student code prints goes to stderr, never into the protocol
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    protocol.write_message(wire_out, {"ready": True})
    answers: dict[str, Any] = {}
    notes: list[Any] = []
    operations: Any = None

    def exchange(frame: bytes) -> protocol.Message:
        wire_out.write(frame)
        wire_out.flush()
        message = protocol.read_message(wire_in)
        if message is None:
            raise EOFError("the grader is gone")
        return message

    def note(what: Any) -> None:
        if what not in notes and len(notes) < MOST:
            notes.append(what)

    modes.uncompiled(note)
    evaluate = remote.evaluator(exchange)
    while message := protocol.read_message(wire_in):
        header, tensors = message
        notes.clear()
        try:
            if header["op"] == "load":
                operations = importlib.import_module(f"autograder.child.{header['operations']}")
            answers, told, sent = cells.reply(operations, answers, header, tensors, note, evaluate)
            frame = protocol.encode(told | ({"notes": notes} if notes else {}), sent)
        except BaseException as error:  # including SystemExit: student code does not decide when the requests end
            frame = protocol.encode(cells.describe(error) | ({"notes": notes} if notes else {}))
        wire_out.write(frame)
        wire_out.flush()


if __name__ == "__main__":
    main()
