"""The ode_sampler exercise: one step of Euler's and of Heun's method along an exactly known velocity field."""

import math
from functools import partial
from itertools import pairwise

import torch
from torch import Generator

from autograder.exercises.base import Exercise, Failed, Probe, check_of
from autograder.exercises.calls import Returned, Thing, close, keeps_device
from autograder.exercises.ode_sampler.asking import FAR, SHAPES, TRY, draw, hops, step, walked

EULER, HEUN = "euler_step", "heun_step"
EVALUATIONS = {EULER: 1, HEUN: 2}
COUNTS = (16, 32, 64)  # of steps


def contract(name: str, probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        flow, xt = draw(rng, shape[1:]), torch.randn(shape, generator=rng)
        for t, s in hops(rng, up=False)[:2]:
            step(probe, name, flow, xt, t, s).unchanged().tensor(shape, torch.float32)


def follows(name: str, up: bool, text: str, probe: Probe, rng: Generator) -> None:
    """Against the step in closed form, at points on and off the flow."""
    for shape in SHAPES:
        size = FAR if shape == SHAPES[-1] else 1.0
        flow, xt = draw(rng, shape[1:]), 2 * size * torch.randn(shape, generator=rng)
        right = {EULER: flow.euler, HEUN: flow.heun}[name]
        for t, s in hops(rng, up):
            out = step(probe, name, flow, xt, t, s).tensor(shape)
            what = f"{text}{' far from the images: do not clamp' if size > 1 else ''}"
            close(out / size, right(xt, t, s) / size, what, EXAMPLES[name, up], rtol=1e-4, atol=1e-4)


EXAMPLES = {
    (EULER, False): f"{TRY}, the velocity is 1 and the step goes back by 0.5, so the result must be -0.5",
    (HEUN, False): f"{TRY}, the velocity is 1 at one end and 0.5 at the other, with mean 0.75, so the result must be "
    "-0.375",
    (
        EULER,
        True,
    ): "swap t and t_next in a step that works: with the same field, the new step must go the other way. The "
    "length of the step is t_next - t, with its sign",
    (
        HEUN,
        True,
    ): "swap t and t_next in a step that works: with the same field, the new step must go the other way. The "
    "length of the step is t_next - t, with its sign",
}


def evaluations(name: str, probe: Probe, rng: Generator) -> None:
    flow, xt = draw(rng, SHAPES[0][1:]), torch.randn(SHAPES[0], generator=rng)
    returned = step(probe, name, flow, xt, 0.8, 0.5)
    returned.tensor()
    calls, wanted = len(returned.asked), EVALUATIONS[name]
    if calls != wanted:
        raise Failed(
            f"the number of evaluations is wrong: {name} calls the field {calls} times in one step instead "
            f"of {wanted}. Put a print into a field of your own to count. Each evaluation costs a pass through the "
            "network, so store a velocity that you need twice"
        )


def asked(name: str, probe: Probe, rng: Generator) -> None:
    """Where and when velocities are evaluated: at (xt, t), and for Heun also where Euler's step lands, at t_next."""
    for shape in SHAPES:
        flow, xt = draw(rng, shape[1:]), torch.randn(shape, generator=rng)
        for t, s in hops(rng, up=False)[1:]:
            probed = step(probe, name, flow, xt, t, s)
            probed.tensor()
            for x, moment, where in ((xt.double(), t, START), (flow.euler(xt, t, s), s, LANDING))[: EVALUATIONS[name]]:
                if not visited(probed, x, moment):
                    raise Failed(where)


START = (
    "the velocity is not evaluated where the step starts, at xt and t: put a print into a field of your own and look "
    "at the first x and t it gets"
)
LANDING = (
    "the second velocity is not evaluated where an Euler step lands, at time t_next: put a print into a field of your "
    "own and look at both x and both t it gets"
)


def visited(probed: Returned, x: torch.Tensor, moment: float) -> bool:
    pairs = ((asked["x"].double(), float(asked["t"])) for asked in probed.asked)
    return any(p.shape == x.shape and abs(t - moment) < 1e-4 and (p - x).abs().max() < 1e-3 for p, t in pairs)


def order(name: str, probe: Probe, rng: Generator) -> None:
    """How the error at t = 0 falls with smaller steps, against the closed form, in float64."""
    flow = draw(rng, (2, 4, 4))
    noise = torch.randn(6, 2, 4, 4, generator=rng, dtype=torch.float64)
    errors = [float((walked(probe, name, flow, noise, n) - flow.arrival(noise)).abs().mean()) for n in COUNTS]
    slopes = [math.log2(max(a, 1e-12) / max(b, 1e-12)) for a, b in pairwise(errors)]
    wanted = EVALUATIONS[name]  # each method's order equals its number of evaluations
    if abs(slopes[-1] - wanted) > 0.35 or errors[-1] > 0.1:
        raise Failed(
            f"the order of {name} is not {wanted}: with twice as many steps from t = 1 to t = 0, the error must fall "
            f"to {'half' if wanted == 1 else 'a quarter'}. Plot it as in the notebook's figure"
        )


def stands_still(probe: Probe, rng: Generator) -> None:
    flow, xt = draw(rng, SHAPES[0][1:]), torch.randn(SHAPES[0], generator=rng)
    for t in (0.0, 0.4, 1.0):
        out = step(probe, HEUN, flow, xt, t, t).tensor(SHAPES[0])
        close(out, xt, "a step of length zero changes the point", f"with {TRY.split(', t =')[0]} and t_next = t")


def device(name: str, probe: Probe, rng: Generator) -> None:
    flow, xt = draw(rng, SHAPES[0][1:]), torch.randn(SHAPES[0], generator=rng)
    moments = torch.tensor(0.8), torch.tensor(0.5)
    more = {"rename": ("field", "xt", "t", "t_next"), "served": flow.served()}
    keeps_device(probe, name, Thing("field"), xt, *moments, **more)


euler = partial(check_of, EULER, "lesson 5.4, “Euler and Heun”")
heun = partial(check_of, HEUN, "lesson 5.4, “Euler and Heun”")
EXERCISE = Exercise(
    assignment="5_4_flow",
    position=2,
    name="ode_sampler",
    answers=(EULER, HEUN),
    library=("__init__",),
    hidden=("flow", "edm", "samplers"),
    checks=(
        euler("keeps its contract", 0.5, partial(contract, EULER)),
        euler("follows the velocity", 1.75, partial(follows, EULER, False, "the step does not follow the velocity")),
        euler("asks where the step starts", 0.25, partial(asked, EULER)),
        euler("one evaluation", 0.25, partial(evaluations, EULER)),
        euler("goes up as well as down", 0.5, partial(follows, EULER, True, "a step towards the noise goes wrong")),
        euler("first order", 0.5, partial(order, EULER)),
        euler("keeps the device", 0.25, partial(device, EULER)),
        heun("keeps its contract", 0.5, partial(contract, HEUN)),
        heun(
            "the mean of two velocities", 2.25,
            partial(follows, HEUN, False, "the step does not follow the mean of the velocities at its two ends"),
        ),
        heun("asks at both ends", 0.5, partial(asked, HEUN)),
        heun("two evaluations", 0.25, partial(evaluations, HEUN)),
        heun("goes up as well as down", 0.5, partial(follows, HEUN, True, "a step towards the noise goes wrong")),
        heun("second order", 1.5, partial(order, HEUN)),
        heun("a step of no length", 0.25, stands_still),
        heun("keeps the device", 0.25, partial(device, HEUN)),
    ),
    written=("ode_sampler_written",),
)  # fmt: skip
