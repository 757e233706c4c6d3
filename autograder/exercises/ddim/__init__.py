"""The ddim exercise: which timesteps to visit, and the step from one to the next (step.py)."""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import AnswerError, Exercise, Failed, Probe, check_of
from autograder.exercises.calls import call
from autograder.exercises.ddim import step

LESSON = "lesson 5.1, “Sampling”"
TIMES, STEP = "ddim_timesteps", step.STEP


def pairs(rng: Generator) -> list[tuple[int, int]]:
    """(T, steps), where steps divides T or does not."""
    odd = [[int(torch.randint(*ends, (), generator=rng)) for ends in ((200, 1500), (3, 90))] for _ in "abcd"]
    return [(1000, 50), (1000, 7), (1000, 600), (997, 300), (12, 5), *map(tuple, odd)]


def times(probe: Probe, total: int, steps: int) -> Tensor:
    return call(probe, TIMES, total, steps).tensor((steps,)).double()


def times_contract(probe: Probe, rng: Generator) -> None:
    for total, steps in pairs(rng):
        call(probe, TIMES, total, steps).tensor((steps,), torch.int64)


def starts_at_the_end(probe: Probe, rng: Generator) -> None:
    for total, steps in pairs(rng):
        out = times(probe, total, steps)
        if out[0] != total - 1:
            raise Failed(
                "the list does not start at T - 1, the noisiest timestep: look at the first value of "
                "ddim_timesteps(10, 3). Sampling starts from pure noise, so the first timestep must be the noisiest"
            )


def descends(probe: Probe, rng: Generator) -> None:
    for total, steps in pairs(rng):
        out = times(probe, total, steps)
        if not ((out.diff() < 0).all() and out[-1] >= 0 and out[0] < total):
            raise Failed(
                "the timesteps do not decrease strictly within 0 … T - 1: look at ddim_timesteps(10, 3) for a value "
                "that occurs twice, rises, or lies outside 0 … 9"
            )


def evenly_spaced(probe: Probe, rng: Generator) -> None:
    for total, steps in pairs(rng):
        out = times(probe, total, steps)
        gaps = -out.diff()
        ends = out[-1] == 0 or gaps.min() - 2 <= out[-1] <= gaps.max()  # one gap above 0, or above -1
        if gaps.max() - gaps.min() > 1 or not ends:
            raise Failed(
                "the gaps are not even: they may differ by at most 1, and the list should end at 0 or one gap above "
                "it. Look at ddim_timesteps(10, 7), where a fixed stride of 10 // 7 leaves out the lowest timesteps"
            )


def extremes(probe: Probe, rng: Generator) -> None:
    total = int(torch.randint(20, 60, (), generator=rng))
    if times(probe, total, 1)[0] != total - 1:
        raise Failed("a single step should be at T - 1: look at ddim_timesteps(10, 1)")
    if not torch.equal(times(probe, total, total), torch.arange(total - 1, -1, -1).double()):
        raise Failed("with as many steps as timesteps, every timestep should be visited: look at ddim_timesteps(4, 4)")


def too_many_steps(probe: Probe, rng: Generator) -> None:
    total = int(torch.randint(20, 60, (), generator=rng))
    try:
        call(probe, TIMES, total, total + 1 + int(torch.randint(50, (), generator=rng)))
    except AnswerError as e:
        if e.hidden or e.kind != "ValueError":
            raise Failed(
                "asking for more steps than timesteps should raise a ValueError, but ddim_timesteps(4, 5) fails "
                f"differently: {e}"
            ) from e
        return
    raise Failed(
        "asking for more steps than timesteps should raise a ValueError: ddim_timesteps(4, 5) still returns a list"
    )


on_times, on_step = partial(check_of, TIMES, LESSON), partial(check_of, STEP, LESSON)
EXERCISE = Exercise(
    assignment="5_1_unconditional",
    position=3,
    name="ddim",
    answers=(TIMES, STEP),
    operations="functions",
    library=("__init__",),
    hidden=("samplers", "diffusion"),
    checks=(
        on_times("keeps its contract", 0.5, times_contract),
        on_times("starts at T - 1", 0.5, starts_at_the_end),
        on_times("goes down within 0 … T - 1", 0.5, descends),
        on_times("even gaps, down to the end", 1.0, evenly_spaced),
        on_times("one step, and all steps", 0.25, extremes),
        on_times("refuses more steps than timesteps", 0.25, too_many_steps),
        on_step("keeps its contract", 0.5, step.step_contract),
        on_step("leads to the next noise level", 2.0, step.deterministic_step),
        on_step("the last step lands on x0", 0.5, step.lands_on_the_image),
        on_step("x0 is clamped", 0.5, step.clamps),
        on_step("the noise agrees with the clamped x0", 1.0, step.rederives),
        on_step("clip=False does not clamp", 0.25, step.no_clip),
        on_step("eta and sigma", 1.0, step.given_noise),
        on_step("draws noise where none is given", 0.5, step.draws_noise),
        on_step("deterministic without eta", 0.25, step.draws_none),
        on_step("finite at every noise level", 0.25, step.stays_finite),
        on_step("keeps the device", 0.25, step.device),
    ),
    written=("ddim_written",),
)
