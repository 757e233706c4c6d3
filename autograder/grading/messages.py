"""How a result is worded for the student."""

from autograder.exercises.base import AnswerError, Check, Failed
from autograder.intake.extract import CONFLICT
from autograder.sandbox.limits import Failure


def plain(text: str) -> str:
    """On one line and printable: texts quote student code, and end up in terminals, tables and pages."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))


def sentence(text: str) -> str:
    """With a capital and a full stop. File names and code, as in `w = 1`, keep their case."""
    text = plain(text)
    first, _, rest = text.partition(" ")
    is_word = first.isalpha() and not rest.startswith("= ")
    return (text[:1].upper() + text[1:] if is_word else text) + ("" if text.endswith((".", "!", "?")) else ".")


def short(text: str) -> str:
    """The reason for a table: if the message is long, only the property, without the example."""
    return sentence(text if len(text) <= 120 else text.split(": ")[0])


def message(failed: Failed, check: Check) -> str:
    """The property that failed, and where the lesson explains it."""
    hidden = isinstance(failed, AnswerError) and failed.hidden
    return sentence(str(failed)) + (f" See {check.lesson}." if check.lesson and not hidden else "")


def load_error(error: AnswerError, cells: dict[str, str]) -> str:
    """What went wrong when the answer cells were run, with the remedy for common mistakes."""
    if error.kind in ("SyntaxError", "IndentationError"):
        for name, source in cells.items():
            if found := CONFLICT.search(source):
                line = source.count("\n", 0, found.start()) + 1
                return sentence(
                    f"line {line} of the answer cell `{name}` is a Git conflict marker, `{found[1]}`: keep one of the "
                    "two versions, and delete the marker lines"
                )
    if error.kind == "ModuleNotFoundError" and not error.hidden:
        return sentence(f"{error}; only the course's packages can be imported (see requirements.lock)")
    return sentence(str(error))


def load_failure(failure: Failure, seconds: float) -> Failure:
    """The same failure, worded for a cell that did not finish."""
    if failure.outcome != "timeout" or failure.code:
        return failure
    return Failure(
        "timeout",
        f"The answer cell itself ran for more than {seconds:g} s. It should only contain the definition: move "
        "training, sampling and other slow code to other cells.",
    )
