"""All that judging needs besides the submission: seed, limits, and for a gate the judge and the bands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.exercises import gate_of
from autograder.exercises.base import Exercise
from autograder.gate.bands import Band, load_bands
from autograder.gate.harness import Harness
from autograder.gate.judge import Judge
from autograder.intake import model_solutions
from autograder.sandbox.forks import Zygote
from autograder.sandbox.limits import Limits
from ddpm_core.config import DATA_DIR
from ddpm_tools.evaluation.plain_classifier import load_classifier

JUDGES = {"judge": DATA_DIR / "judges/digits", "course": DATA_DIR / "classifiers/digits"}
CHECK_S = 20.0  # of the child's own time per question; the slowest right answer needs less than one second
TRAIN_S = 60.0  # for 25 training steps of a network in the child; the slowest reference needs 5 seconds


@dataclass(frozen=True)
class Grader:
    """How the answers of one exercise are judged."""

    judge: Judge | None  # of the gate
    bands: dict[str, Band]
    seed: int
    sandboxed: bool = True
    limits: Limits = field(default_factory=Limits)
    run: Harness | None = None  # of the gate
    check_s: float = CHECK_S
    solutions: Path | None = model_solutions.SOLUTIONS  # None: at a student's home, where their own cells are used
    zygote: Zygote | None = None  # the process that answers' processes are forked from; None: each starts torch itself


def band_file(exercise: Exercise, one_look: bool = False) -> Path:
    """The limits of an exercise's gate, with every run behind them; `one_look`: as the challenge tracks are run."""
    several = gate_of(exercise.name).sequential and not one_look
    return DATA_DIR / f"gates/{exercise.name}{'_looks' if several else ''}.json"


def make_grader(exercise: Exercise, seed: int, sandboxed: bool = True, judge: str = "judge", **changes: Any) -> Grader:
    """The grader of an exercise; its gate uses the judge of record or the course's own classifier."""
    if not exercise.gate_cell:
        return Grader(None, {}, seed, sandboxed, **changes)
    bands = load_bands(band_file(exercise), judge)
    changes = {"run": gate_of(exercise.name).graded()[0], **changes}
    return Grader(Judge.of(load_classifier(JUDGES[judge])), bands, seed, sandboxed, **changes)
