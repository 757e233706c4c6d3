"""The architecture exercise: any network that keeps the interface.

There are always four widths, as at the published scales. They are multiples of 64, so that diffusers' GroupNorm(32)
works as it should.
"""

from functools import partial

from autograder.exercises.architecture import dependence, interface
from autograder.exercises.base import Exercise, check_of

ANSWER = "build_model"
check = partial(check_of, ANSWER, "lesson 5.1, “The U-Net”")
EXERCISE = Exercise(
    assignment="5_1_unconditional",
    position=4,
    name="architecture",
    answers=(ANSWER,),
    library=("__init__", "attention", "ema", "layers"),
    hidden=("network", "unet", "unet2d"),
    packages=("diffusers",),
    checks=(  # the first failure is the reason a student reads first
        check("keeps the interface", 1.25, interface.interface, fatal=True),
        check("fits other widths, channels and sizes", 1.0, interface.sizes, fatal=True),
        check("the output is finite", 0.75, dependence.stays_finite, fatal=True),
        check("sample i depends only on sample i", 1.25, dependence.own_sample_only, fatal=True),
        check("the output depends on the timestep", 1.5, dependence.sees_the_time, fatal=True),
        check("the output depends on the image", 0.5, dependence.sees_the_image, fatal=True),
        check("reads the environment", 1.0, interface.reads_the_environment),
        check("has the defaults", 0.25, interface.defaults),
        check("takes the timestep as a number too", 0.5, interface.timesteps),
        check("gradient reaches the parameters", 0.5, dependence.gradient_reaches),
        check("runs under bfloat16 autocast", 0.25, dependence.autocast),
        check("keeps the device", 0.25, interface.keeps_device),
        check("deterministic in eval mode", 0.25, dependence.deterministic),
        check("leaves nothing behind", 0.25, dependence.no_global_state),
        check("stays within the parameter budget", 0.25, interface.small_enough),
        check("stays within the time budget", 0.25, interface.fast_enough),
    ),
    gate_cell="architecture_gate",
    gate_points=10.0,
    written=("architecture_written",),
)
