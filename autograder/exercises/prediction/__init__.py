"""The prediction exercise: the velocity as the training target, and recovering the image from it.

Each function is judged alone, against its definition. That they invert each other follows, and the gate shows it.
"""

from functools import partial

from autograder.exercises.base import Exercise, check_of
from autograder.exercises.prediction import both
from autograder.exercises.prediction.asking import INVERSE, TARGET

LESSON = "lesson 5.1, “What to predict”"


of_target, of_inverse = partial(check_of, TARGET, LESSON), partial(check_of, INVERSE, LESSON)
EXERCISE = Exercise(
    assignment="5_1_unconditional",
    position=2,
    name="prediction",
    answers=(TARGET, INVERSE),
    operations="functions",
    library=("__init__",),
    hidden=("parameterization", "diffusion"),
    checks=(
        of_target("keeps its contract", 0.5, both.contract(TARGET), fatal=True),
        of_target("the noise counts with sqrt(abar)", 1.25, both.target_term("noise")),
        of_target("the image counts with -sqrt(1 - abar)", 1.25, both.target_term("image")),
        of_target("each image has its own timestep", 1.25, both.own_time),
        of_target("depends on its arguments alone", 0.25, both.repeats(TARGET)),
        of_target("keeps the images' precision", 0.25, both.precision(TARGET)),
        of_target("keeps the device", 0.25, both.device(TARGET)),
        of_inverse("keeps its contract", 0.5, both.contract(INVERSE), fatal=True),
        of_inverse("x_t counts with sqrt(abar)", 1.0, both.inverse_term("x_t")),
        of_inverse("the output counts with -sqrt(1 - abar)", 1.0, both.inverse_term("output")),
        of_inverse("the image comes back from its velocity", 1.25, both.inverts),
        of_inverse("not clamped", 0.25, both.unclamped),
        of_inverse("holds at both ends of the schedule", 0.25, both.ends),
        of_inverse("depends on its arguments alone", 0.25, both.repeats(INVERSE)),
        of_inverse("keeps the images' precision", 0.25, both.precision(INVERSE)),
        of_inverse("keeps the device", 0.25, both.device(INVERSE)),
    ),
    gate_cell="prediction_gate",
    gate_points=10.0,
    written=("prediction_written",),
)
