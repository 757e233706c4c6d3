"""How a result is worded for the student."""

from __future__ import annotations

from autograder.exercises.base import AnswerError, Check, Failed


def sentence(text: str) -> str:
    """With a capital (a name of a file or of code keeps its own) and a full stop, whoever wrote it."""
    text = text.strip()
    first = text.split(" ", 1)[0]
    return (text[:1].upper() + text[1:] if first.isalpha() else text) + ("" if text.endswith((".", "!", "?")) else ".")


def short(text: str) -> str:
    """The reason for a table: the property alone, where the small input to see it on makes the message long."""
    return sentence(text if len(text) <= 120 else text.split(": ")[0])


def message(failed: Failed, check: Check) -> str:
    """The property that failed, and where the lesson explains it."""
    hidden = isinstance(failed, AnswerError) and failed.hidden
    return sentence(str(failed)) + (f" See {check.lesson}." if check.lesson and not hidden else "")
