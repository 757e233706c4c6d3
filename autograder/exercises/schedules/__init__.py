"""The schedules exercise: two noise schedules, and noising an image to any timestep in one step."""

from functools import partial

from autograder.exercises.base import Exercise, check_of
from autograder.exercises.schedules import betas, noising
from autograder.exercises.schedules.betas import COSINE, LINEAR
from autograder.exercises.schedules.noising import NOISY

linear, cosine = (partial(check_of, answer, "lesson 5.1, “Noise schedules”") for answer in (LINEAR, COSINE))
noisy = partial(check_of, NOISY, "lesson 5.1, “The forward process”")
EXERCISE = Exercise(
    assignment="5_1_unconditional",
    position=1,
    name="schedules",
    answers=(LINEAR, COSINE, NOISY),
    operations="functions",
    library=("__init__",),
    hidden=("schedule",),
    checks=(
        linear("one beta between 0 and 1 per timestep", 0.5, partial(betas.one_beta_each, LINEAR)),
        linear("evenly spaced", 0.75, betas.evenly_spaced),
        linear("from beta_start to beta_end", 0.75, betas.from_start_to_end),
        cosine("one beta between 0 and 1 per timestep", 0.5, partial(betas.one_beta_each, COSINE)),
        cosine("abar falls as the squared cosine", 2.0, betas.follows_cosine),
        cosine("the offset s counts", 0.5, betas.cosine_offset),
        cosine("clamped to [1e-4, 0.9999]", 1.0, betas.clamped),
        noisy("keeps its contract", 0.5, noising.contract),
        noisy("the image is scaled by sqrt(abar)", 1.0, partial(noising.scaled, True)),
        noisy("the noise is scaled by sqrt(1 - abar)", 1.0, partial(noising.scaled, False)),
        noisy("each image has its own timestep", 1.0, noising.own_time),
        noisy("keeps the images' precision", 0.25, noising.precision),
        noisy("keeps the device", 0.25, noising.device),
    ),
    written=("schedules_written",),
)
