"""What a rule returns, a decorator for most rules, and wording that they share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from ddpm_tools.diagnosis.evidence import Evidence


@dataclass(frozen=True)
class Verdict:
    """The likely fault: a code, where it is (training, sampling or none), one sentence, and what to do next."""

    fault: str  # a short name, such as "output range"
    where: str  # "training", "sampling" or "none"
    sentence: str  # the verdict for readers, with its figures
    remedy: str  # what to do next


Rule = Callable[[Evidence], Verdict | None]  # its docstring gives the reason and the threshold


def rule(fault: str, where: str, remedy: str) -> Callable[[Callable[[Evidence], str | None]], Rule]:
    """Turns a test into a rule. The test returns the sentence if the evidence shows the fault, else None."""

    def made(test: Callable[[Evidence], str | None]) -> Rule:
        return wraps(test)(lambda e: Verdict(fault, where, said, remedy) if (said := test(e)) else None)

    return made


def pairs(e: Evidence, moved: list[tuple[int, int]]) -> str:
    """`3 as 8, 8 as 3`: classes and the labels that fit them, four at most."""
    return ", ".join(f"{e.classes[i]} as {e.classes[j]}" for i, j in moved[:4]) + (", ..." if len(moved) > 4 else "")
