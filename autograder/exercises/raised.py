"""What a student is shown of an exception in the answer's process, where student code chooses every word.

If nothing of ours is in that process, it is the kind, cell, line and text, shortened and without values. If the answer
is judged beside one of our model solutions, its code could spell that solution out in an exception. Then only the kind
and the line are shown, and of the text only phrases from a list.
"""

import builtins
import platform
import re
import sys
from importlib import metadata
from typing import Any

VALUES = re.compile(r"-?\d+\.\d*(e[-+]?\d+)?|\d{7,}")  # an exception can quote its inputs; shapes may be shown
MOST = 240  # characters of a text
NEWER = re.compile(r"^(invalid syntax|expected|f-string|unterminated string|multiple exception types)")  # if it is
NAME = re.compile(r"[A-Za-z_]\w{0,59}")
REFUSED = re.compile(  # what the emptied modules of a child say (sandbox/staging.py)
    r"`[\w.]{1,60}` is (imported from [\w.]{1,60}, which holds|not available here, since it holds) the answer; "
    r"write it yourself"
)
KINDS = {n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, BaseException)}
KINDS |= {"OutOfMemoryError", "LinAlgError", "UnsupportedOperation"}
KNOWN = (  # phrases of torch, Python and our own models; the first one found in the text is shown
    "mat1 and mat2 shapes cannot be multiplied", "must match the size of tensor", "Sizes of tensors must match",
    "shape is invalid for input of size", "is invalid for input of size", "is not broadcastable", "view size is not",
    "Expected number of channels", "to have the same dtype", "must have the same dtype", "expected scalar type",
    "number of channels in input to be divisible by num_groups", "must be divisible by", "to be in range of",
    "out of bounds for dimension", "out of range", "Dimension out of range", "a leaf Variable",
    "does not require grad", "modified by an inplace operation", "Inference tensors cannot be saved", "same device",
    "not enough values to unpack", "too many values to unpack", "object is not subscriptable", "object is not callable",
    "object is not iterable", "object has no attribute", "has no attribute", "got an unexpected keyword argument",
    "got multiple values for", "required positional argument", "positional arguments but", "positional argument but",
    "must be Tensor", "unsupported operand type", "invalid combination of arguments", "division by zero",
    "cannot assign module before Module.__init__() call", "is not a Module subclass", "not NoneType",
    "list indices must", "only one element tensors can be converted", "Boolean value of Tensor", "expected to have",
    "was never closed", "unexpected indent", "expected an indented block", "unterminated string", "unmatched",
    "expected ':'", "Perhaps you forgot a comma", "'return' outside function", "invalid syntax", "does not match any",
    "does not define", "must be a subclass of nn.Module", "is not defined", "referenced before assignment",
    "cannot access local variable", "No module named", "cannot import name", "takes no arguments",
    "the model expects images of shape", "the model expects one", "the model expects whole numbers", "the model takes",
    "the model's weights have dtype", "forward_with_cond was called with",
)  # fmt: skip


def where(error: dict[str, Any], cells: tuple[str | None, ...] = ()) -> str:
    """The cell (one of `cells`, if given) and the line; nothing if they are not valid."""
    cell, line = error.get("cell"), error.get("line")
    known = cell in cells if cells else isinstance(cell, str) and NAME.fullmatch(cell)
    return f" in cell `{cell}`, line {line}" if known and type(line) is int and 0 < line < 10_000 else ""


def refused(error: dict[str, Any], beside: tuple[str, ...]) -> str | None:
    """The sentence if the code tried to import the answer; None if it did not."""
    text = str(error.get("text"))
    if not error.get("hidden") or not REFUSED.fullmatch(text):
        return None
    return "the answer is imported from the course's library; write it yourself" if beside else text


def runs(kind: str, text: str) -> str:
    """The grader's version, if the code may be written for a newer one."""
    module = re.match(r"(?:cannot import name '\w{1,60}' from|module) '(\w{1,60})", text)
    if (kind == "SyntaxError" and NEWER.search(text)) or (module and module[1] in sys.stdlib_module_names):
        return f" (the grader runs Python {platform.python_version()})"
    if module and module[1] in ("torch", "numpy"):
        return f" (the grader has {module[1]} {metadata.version(module[1])})"
    return ""


def told(error: dict[str, Any], answer: str | None, beside: tuple[str, ...]) -> str:
    """What the code of `answer` raised; it was run beside our solutions of the cells `beside`."""
    kind, text = str(error.get("kind")), str(error.get("text"))
    version = runs(kind, text)
    if not beside:
        kind, said = kind if NAME.fullmatch(kind) else "an exception", VALUES.sub("…", text[:MOST])
        return f"your code raised {kind}{where(error)}{': ' if said else ''}{said}{version}"
    known = next((f": {words}" for words in KNOWN if words in text), "")
    kind, place, ours = kind if kind in KINDS else "an exception", where(error, (answer,)), "`, `".join(beside)
    return (
        f"your code raised {kind}{place}{known}{version} (the grader used its own `{ours}` here, so it shows no more "
        "than this; the notebook's self-check shows more)"
    )
