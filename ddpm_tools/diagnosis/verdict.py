"""What a rule returns, and wording that rules share."""

from dataclasses import dataclass

from ddpm_tools.diagnosis.evidence import Evidence


@dataclass(frozen=True)
class Verdict:
    """The likely fault: a code, where it is (training, sampling or none), one sentence, and what to do next."""

    fault: str
    where: str
    sentence: str
    remedy: str


def pairs(e: Evidence, moved: list[tuple[int, int]]) -> str:
    """`3 as 8, 8 as 3`: classes and the labels they go with, four at most."""
    return ", ".join(f"{e.classes[i]} as {e.classes[j]}" for i, j in moved[:4]) + (", ..." if len(moved) > 4 else "")
