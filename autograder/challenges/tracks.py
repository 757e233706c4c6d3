"""Defines the tracks: which functions are open, and which metrics judge them. Contracts are in templates/."""

from dataclasses import dataclass
from textwrap import indent
from typing import Any

from autograder.challenges import designs, few_steps
from autograder.exercises import EXERCISES, gate_of
from autograder.exercises.base import Exercise


@dataclass(frozen=True)
class Metric:
    """A metric of the quick tier. No value can lie below `low` or above `top`."""

    title: str
    better: str
    low: float = 0.0
    top: float = float("inf")
    digits: int = 2


METRICS = {
    "distance": Metric("Fréchet distance", "lower"),
    "kid": Metric("KID", "lower", low=float("-inf"), digits=3),
    "precision": Metric("precision", "higher", top=1.0),
    "recall": Metric("recall", "higher", top=1.0),
    "adherence": Metric("adherence", "higher", top=1.0, digits=3),
    "heldout_loss": Metric("held-out loss", "lower", digits=4),
    "copies": Metric("copies", "lower", top=1.0, digits=3),
}
EXTRACTOR = "64 features of a digits classifier"
PROTOCOL = "8×8 handwritten digits, 200 to 250 training steps on a CPU, 20 DDIM steps, all 1,797 digits as reference"
SHIPPED = "8×8 handwritten digits, the shipped network, 500 images a seed, all 1,797 digits as reference"


@dataclass(frozen=True)
class Track:
    """One track. Its exercise provides the child's questions, most of the checks and the harness."""

    name: str
    exercise: Exercise
    baseline: str  # differences are taken from it: the known design of which the others are variations
    labels: bool  # whether samples are requested by class
    open: str  # what may change, in words
    stub: dict[str, str]  # the open cells of the starter notebook
    evaluations: int = 0  # allowed evaluations of the shipped network, if nothing is trained; 0: designs are trained

    @property
    def metrics(self) -> tuple[str, ...]:
        left_out = {"adherence": not self.labels, "heldout_loss": bool(self.evaluations)}
        return tuple(m for m in METRICS if not left_out.get(m))

    @property
    def harness(self) -> Any:
        """The settings of a run: the gate's harness, or that of the few-steps tracks."""
        return few_steps.harness(self.evaluations) if self.evaluations else gate_of(self.exercise.name).harness

    @property
    def at_least(self) -> int:
        """The least number of seeds in a test, however slow the machine. The tier may require more."""
        return 6 if self.evaluations else 0

    @property
    def protocol(self) -> str:
        return SHIPPED if self.evaluations else PROTOCOL


def exercise(name: str) -> Exercise:
    return next(e for e in EXERCISES.values() if e.name == name)


TODO = "    # YOUR CODE HERE\n    raise NotImplementedError()\n"
INIT = "def __init__(self, channels, cond_dim):\n    super().__init__()\n"
FORWARD = f"def forward(self, h, class_emb):\n{TODO}"

TRACKS = {
    "conditioning": Track(
        *("conditioning", exercise("conditioner"), "concat-film"),
        labels=True,
        open="how the class enters the network: `prepare_conditioning` and `ClassConditioner`",
        stub={
            "prepare_conditioning": f"def prepare_conditioning(time_emb, class_emb):\n{TODO}",
            "ClassConditioner": "class ClassConditioner(nn.Module):\n" + indent(f"{INIT}\n{FORWARD}", "    "),
        },
    ),
    "prediction": Track(
        *("prediction", exercise("prediction"), "epsilon"),
        labels=False,
        open="what the network is asked for: `compute_training_target` and `predict_x0`",
        stub={
            "compute_training_target": f"def compute_training_target(x_0, noise, timesteps, schedule):\n{TODO}",
            "predict_x0": f"def predict_x0(model_output, x_t, timesteps, schedule):\n{TODO}",
        },
    ),
    "architecture": Track(
        *("architecture", exercise("architecture"), "standard"),
        labels=False,
        open="the network: `build_model(device)`",
        stub={"build_model": f"def build_model(device):\n{TODO}"},
    ),
}

TRACKS |= {
    f"few-steps-{n}": Track(
        *(f"few-steps-{n}", few_steps.exercise(n), "ddim"),
        labels=True,
        open=f"the sampler, which may evaluate the shipped network at most {few_steps.times(n)}: `few_steps`",
        stub=designs.cells(designs.ddim),
        evaluations=n,
    )
    for n in few_steps.BUDGETS
}


def track(name: str) -> Track:
    """Return a track by name; ValueError lists the known ones."""
    if name not in TRACKS:
        raise ValueError(f"unknown track '{name}'; known: {', '.join(TRACKS)}")
    return TRACKS[name]
