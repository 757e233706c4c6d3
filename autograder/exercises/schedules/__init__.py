"""The schedules exercise: two noise schedules, and noising an image to any timestep in one step."""

from autograder.exercises.base import Check, Exercise
from autograder.exercises.schedules import betas, noising
from autograder.exercises.schedules.betas import COSINE, LINEAR
from autograder.exercises.schedules.noising import NOISY

SCHEDULES = "lesson 5.1, “Noise schedules”"
FORWARD = "lesson 5.1, “The forward process”"


def check(answer: str, what: str, points: float, run, lesson: str) -> Check:
    return Check(f"{answer}: {what}", points, run, answer=answer, lesson=lesson)


EXERCISE = Exercise(
    assignment="5_1_unconditional",
    position=1,
    name="schedules",
    answers=(LINEAR, COSINE, NOISY),
    operations="functions",
    library=("__init__",),
    hidden=("schedule",),
    checks=(
        check(LINEAR, "one beta between 0 and 1 per timestep", 0.5, betas.one_beta_each(LINEAR), SCHEDULES),
        check(LINEAR, "evenly spaced", 0.75, betas.evenly_spaced, SCHEDULES),
        check(LINEAR, "from beta_start to beta_end", 0.75, betas.from_start_to_end, SCHEDULES),
        check(COSINE, "one beta between 0 and 1 per timestep", 0.5, betas.one_beta_each(COSINE), SCHEDULES),
        check(COSINE, "abar falls as the squared cosine", 2.0, betas.cosine_default, SCHEDULES),
        check(COSINE, "the offset s counts", 0.5, betas.cosine_offset, SCHEDULES),
        check(COSINE, "clamped to [1e-4, 0.9999]", 1.0, betas.clamped, SCHEDULES),
        check(NOISY, "keeps its contract", 0.5, noising.contract, FORWARD),
        check(NOISY, "the image is scaled by sqrt(abar)", 1.0, noising.mean, FORWARD),
        check(NOISY, "the noise is scaled by sqrt(1 - abar)", 1.0, noising.noise, FORWARD),
        check(NOISY, "each image has its own timestep", 1.0, noising.own_time, FORWARD),
        check(NOISY, "keeps the images' precision", 0.25, noising.precision, FORWARD),
        check(NOISY, "keeps the device", 0.25, noising.device, FORWARD),
    ),
    written=("schedules_written",),
)
