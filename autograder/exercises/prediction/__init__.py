"""The prediction exercise: the velocity as the training target, and the image back from it.

Each function is judged alone, against the definition; that they invert each other follows, and the gate shows it.
"""

from autograder.exercises.base import Check, Exercise
from autograder.exercises.prediction import both, inverse, target
from autograder.exercises.prediction.asking import INVERSE, TARGET

LESSON = "lesson 5.1, “What to predict”"


def check(answer: str, what: str, points: float, run, fatal: bool = False) -> Check:
    return Check(f"{answer}: {what}", points, run, fatal=fatal, answer=answer, lesson=LESSON)


EXERCISE = Exercise(
    assignment="5_1_unconditional",
    position=2,
    name="prediction",
    answers=(TARGET, INVERSE),
    operations="functions",
    library=("__init__",),
    hidden=("parameterization", "diffusion"),
    checks=(
        check(TARGET, "keeps its contract", 0.5, both.contract(TARGET), fatal=True),
        check(TARGET, "the noise counts with sqrt(abar)", 1.25, target.term("noise")),
        check(TARGET, "the image counts with -sqrt(1 - abar)", 1.25, target.term("image")),
        check(TARGET, "each image has its own timestep", 1.25, target.own_time),
        check(TARGET, "depends on its arguments alone", 0.25, both.repeats(TARGET)),
        check(TARGET, "keeps the images' precision", 0.25, both.precision(TARGET)),
        check(TARGET, "keeps the device", 0.25, both.device(TARGET)),
        check(INVERSE, "keeps its contract", 0.5, both.contract(INVERSE), fatal=True),
        check(INVERSE, "x_t counts with sqrt(abar)", 1.0, inverse.xt_term),
        check(INVERSE, "the output counts with -sqrt(1 - abar)", 1.0, inverse.output_term),
        check(INVERSE, "the image comes back from its velocity", 1.5, inverse.inverts),
        check(INVERSE, "holds at both ends of the schedule", 0.25, inverse.ends),
        check(INVERSE, "depends on its arguments alone", 0.25, both.repeats(INVERSE)),
        check(INVERSE, "keeps the images' precision", 0.25, both.precision(INVERSE)),
        check(INVERSE, "keeps the device", 0.25, both.device(INVERSE)),
    ),
    gate_cell="prediction_gate",
    gate_points=10.0,
    written=("prediction_written",),
)
