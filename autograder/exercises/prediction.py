"""Checks of the prediction exercise: the velocity as the training target, and the image back from it.

Each function is judged alone, against the definition; that they invert each other follows, and the gate shows it. The
gate's network is the parent's (gate/learning.py); the child is asked for nothing but calls of the two functions.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Check, Exercise, Failed, Probe, finite
from autograder.exercises.calls import Returned, call, keeps_device, not_by_the_batch, seed_of
from ddpm_core.schedule import cosine_beta_schedule, linear_beta_schedule

TARGET, INVERSE = "compute_training_target", "predict_x0"
ARGUMENTS = {  # in order, as messages name them
    TARGET: ("x_0", "noise", "timesteps", "schedule"),
    INVERSE: ("model_output", "x_t", "timesteps", "schedule"),
}
LESSON = "lesson 5.1, “What to predict”"
TOLERANCE = 2e-5  # ten times what float32 loses
# sizes that coincide hide a wrong broadcast, so there are some of every kind
SHAPES = ((4, 4, 4, 4), (5, 3, 5, 5), (3, 3, 8, 6), (6, 1, 2, 6), (2, 3, 4, 5))


def schedule_of(abar: Tensor) -> dict[str, Tensor]:
    """The plain form of a schedule, every entry (T,)."""
    return {"alphas_cumprod": abar, "sqrt_alpha": abar.sqrt(), "sqrt_one_minus_alpha": (1 - abar).sqrt()}


def draw_schedule(rng: Generator) -> Tensor:
    """abar (T,) in float64, of a length and shape that the answer cannot know."""
    timesteps = int(torch.randint(300, 1200, (), generator=rng))
    if torch.rand((), generator=rng) < 0.5:
        return torch.cumprod(1 - cosine_beta_schedule(timesteps).double(), 0)
    end = 0.01 + 0.02 * float(torch.rand((), generator=rng))
    return torch.cumprod(1 - linear_beta_schedule(timesteps, 1e-4, end).double(), 0)


def levels(abar: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(abar) and sqrt(1 - abar) at t, 2 x (B, 1, 1, 1)."""
    a = abar[t].view(-1, 1, 1, 1)  # (B,) -> (B, 1, 1, 1)
    return a.sqrt(), (1 - a).sqrt()


def pictures(rng: Generator, shape: tuple[int, ...]) -> Tensor:
    """Images in [-1, 1], float64: an answer that clamps to this range changes nothing."""
    return torch.rand(shape, generator=rng, dtype=torch.float64) * 2 - 1


def asked(probe: Probe, name: str, a: Tensor, b: Tensor, t: Tensor, abar: Tensor, dtype=torch.float32) -> Returned:
    """The answer for float64 inputs, which it gets in `dtype`."""
    return call(probe, name, a.to(dtype), b.to(dtype), t, schedule_of(abar.to(dtype)), rename=ARGUMENTS[name])


def agree(out: Tensor, right: Tensor, r: Tensor, text: str) -> None:
    """Failed with `text` where out differs. Right algebra may divide by sqrt(abar) = r, and loses digits there."""
    if ((finite(out, "the result").double() - right).abs() > TOLERANCE + 4e-6 / r).any():
        raise Failed(text)


def mistake(probe: Probe, rng: Generator, abar: Tensor) -> str:
    """What a wrong target is instead, where it is something with a name."""
    x0, eps = pictures(rng, (2, 1, 4, 4)), torch.randn(2, 1, 4, 4, generator=rng).double()
    t = torch.full((2,), len(abar) // 3)
    r, s = levels(abar, t)
    known = {
        "it is the noise itself, which is epsilon-prediction": eps,
        "it is the image itself, which is x0-prediction": x0,
        "it is the noisy image x_t: a sign is wrong and the factors are swapped": r * x0 + s * eps,
        "it has the opposite sign: the noise counts positively in the velocity": s * x0 - r * eps,
        "its second term has the wrong sign": r * eps + s * x0,
        "the factors of noise and image are swapped": s * eps - r * x0,
        "the square roots are missing: the factors are standard deviations, not variances": r**2 * eps - s**2 * x0,
    }
    out = asked(probe, TARGET, x0, eps, t, abar).tensor((2, 1, 4, 4)).double()
    found = [text for text, target in known.items() if ((out - target).abs() < 1e-4).all()]
    return f". Your target is not the velocity: {found[0]}" if found else ""


def contract(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        for shape in ((3, 1, 8, 8), (1, 3, 5, 4), (4, 2, 6, 3)):
            abar = draw_schedule(rng)
            t = torch.randint(len(abar), shape[:1], generator=rng)
            a, b = pictures(rng, shape), pictures(rng, shape)
            asked(probe, name, a, b, t, abar).unchanged().tensor(shape, torch.float32)

    return check


def term(which: str):
    """A check of one of the target's two terms: the other input is zero."""
    given, other, factor = ("noise", "x_0", "+sqrt(abar)") if which == "noise" else ("x_0", "noise", "-sqrt(1 - abar)")

    def check(probe: Probe, rng: Generator) -> None:
        abar, shape = draw_schedule(rng), (3, 2, 5, 4)
        for _ in range(3):
            t = torch.randint(len(abar), (1,), generator=rng).repeat(3)
            (r, s), x, zero = levels(abar, t), pictures(rng, shape), torch.zeros(shape, dtype=torch.float64)
            pair, right = ((zero, x), r * x) if which == "noise" else ((x, zero), -s * x)
            out = finite(asked(probe, TARGET, *pair, t, abar).tensor(shape), "the target")
            if ((out.double() - right).abs() > TOLERANCE).any():
                raise Failed(
                    f"the {which} does not count with {factor} in the target: with {other} = torch.zeros(1, 1, 2, 2) "
                    f"and {given} = torch.ones(1, 1, 2, 2), follow one number and its sign at the first step, where "
                    f"abar is almost 1, and at the last{mistake(probe, rng, abar)}"
                )

    return check


def own_time(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        abar, x0, t = draw_schedule(rng), pictures(rng, shape), mixed_times(rng, shape[0], 300)
        eps = torch.randn(shape, generator=rng).double()
        r, s = levels(abar, t)
        out = asked(probe, TARGET, x0, eps, t, abar).tensor(shape)
        try:
            agree(out, r * eps - s * x0, r, f"an image does not get the noise level of its own timestep: {OWN}")
        except Failed as failed:
            each = zip(x0.split(1), eps.split(1), t.split(1))
            alone = [asked(probe, TARGET, *one, abar).tensor((1, *shape[1:])) for one in each]
            raise not_by_the_batch(failed, out, alone, "the target is not the velocity") from None


def mixed_times(rng: Generator, batch: int, timesteps: int) -> Tensor:
    """Timesteps (B,), all different, in no order."""
    return torch.randperm(timesteps, generator=rng)[:batch]


OWN = (
    "call it with two images and timesteps = torch.tensor([0, 299]), then with each image alone, and compare; "
    'schedule["sqrt_alpha"][timesteps] has shape (B,) and needs (B, 1, 1, 1) before it meets an image'
)


XT = (
    "x_t does not count with sqrt(abar) in the image: multiply x_t = sqrt(abar)·x_0 + sqrt(1 - abar)·noise by "
    "sqrt(abar) and v = sqrt(abar)·noise - sqrt(1 - abar)·x_0 by sqrt(1 - abar), subtract, and see what becomes of the "
    "noise"
)
OUTPUT = (
    "the network's output does not count with -sqrt(1 - abar) in the image: with model_output = torch.ones(1, 1, 2, 2) "
    "and x_t = torch.zeros(1, 1, 2, 2), follow one number and its sign at the first and at the last timestep"
)
BACK = (
    "the image does not come back from its velocity: take x_0 = torch.ones(1, 1, 2, 2) and a noise of your own, make "
    "x_t and v by hand at timesteps = torch.tensor([100]), and call predict_x0(v, x_t, …). In a batch, each image has "
    f"its own timestep: {OWN}"
)


def xt_term(probe: Probe, rng: Generator) -> None:
    abar, xt = draw_schedule(rng), pictures(rng, (3, 2, 5, 4))
    for _ in range(3):
        t = torch.randint(len(abar), (1,), generator=rng).repeat(3)
        r, _ = levels(abar, t)
        agree(asked(probe, INVERSE, torch.zeros_like(xt), xt, t, abar).tensor((3, 2, 5, 4)), r * xt, r, XT)


def output_term(probe: Probe, rng: Generator) -> None:
    abar, v = draw_schedule(rng), pictures(rng, (3, 2, 5, 4))
    for _ in range(3):
        t = torch.randint(len(abar), (1,), generator=rng).repeat(3)
        r, s = levels(abar, t)
        agree(asked(probe, INVERSE, v, torch.zeros_like(v), t, abar).tensor((3, 2, 5, 4)), -s * v, r, OUTPUT)


def inverts(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        abar, x0, t = draw_schedule(rng), pictures(rng, shape), mixed_times(rng, shape[0], 300)
        eps = torch.randn(shape, generator=rng).double()
        r, s = levels(abar, t)
        agree(asked(probe, INVERSE, r * eps - s * x0, r * x0 + s * eps, t, abar).tensor(shape), x0, r, BACK)


def ends(probe: Probe, rng: Generator) -> None:
    """At the first and the last timestep of both named schedules, where a detour through eps loses its digits."""
    for make in (linear_beta_schedule, cosine_beta_schedule):
        abar = torch.cumprod(1 - make(1000).double(), 0)
        t, x0 = torch.tensor([0, 999]), pictures(rng, (2, 1, 4, 4))
        eps = torch.randn(2, 1, 4, 4, generator=rng).double()
        r, s = levels(abar, t)
        out = asked(probe, INVERSE, r * eps - s * x0, r * x0 + s * eps, t, abar).tensor((2, 1, 4, 4))
        finite(out, "the image at the first or at the last timestep of a schedule of 1000")
        agree(out, x0, r, "at the first or the last timestep the image does not come back: try timesteps = "
              "torch.tensor([0, 999])")  # fmt: skip


def precision(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        abar, shape = draw_schedule(rng), (2, 1, 4, 4)
        t = mixed_times(rng, 2, 200)
        pair = pictures(rng, shape), pictures(rng, shape)
        out = asked(probe, name, *pair, t, abar, dtype=torch.float64).tensor(shape)
        if out.dtype != torch.float64:
            raise Failed(f"float64 images and a float64 schedule come out as {out.dtype}; look for .float() or .half()")
        if torch.equal(out, out.float().double()):
            raise Failed("float64 inputs give no more digits than float32 ones: somewhere on the way they are rounded")

    return check


def device(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        abar, shape = draw_schedule(rng).float(), (2, 1, 4, 4)
        a, b = pictures(rng, shape).float(), pictures(rng, shape).float()
        keeps_device(probe, name, a, b, torch.tensor([3, 5]), schedule_of(abar), seed=seed_of(rng))

    return check


def repeats(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        abar, shape = draw_schedule(rng), (3, 2, 4, 4)
        one = pictures(rng, shape), pictures(rng, shape), mixed_times(rng, 3, 200)
        other = pictures(rng, shape), pictures(rng, shape), mixed_times(rng, 3, 200)
        before = asked(probe, name, *one, abar).tensor(shape)
        asked(probe, name, *other, draw_schedule(rng))
        after = asked(probe, name, *one, abar)
        if not torch.equal(before, after.tensor(shape)) or after.about.get("drew"):
            raise Failed(
                "two calls with the same inputs differ, or random numbers are drawn: the result must depend on the "
                "arguments alone; call it twice, with another call in between"
            )

    return check


def check(answer: str, what: str, points: float, run, fatal: bool = False) -> Check:
    return Check(f"{answer}: {what}", points, run, fatal=fatal, answer=answer, lesson=LESSON)


EXERCISE = Exercise(
    assignment="5_1_unconditional",
    name="prediction",
    answers=(TARGET, INVERSE),
    operations="functions",
    library=("__init__",),
    hidden=("parameterization", "prediction"),
    checks=(
        check(TARGET, "keeps its contract", 0.5, contract(TARGET), fatal=True),
        check(TARGET, "the noise counts with sqrt(abar)", 1.25, term("noise")),
        check(TARGET, "the image counts with -sqrt(1 - abar)", 1.25, term("image")),
        check(TARGET, "each image has its own timestep", 1.25, own_time),
        check(TARGET, "depends on its arguments alone", 0.25, repeats(TARGET)),
        check(TARGET, "keeps the images' precision", 0.25, precision(TARGET)),
        check(TARGET, "keeps the device", 0.25, device(TARGET)),
        check(INVERSE, "keeps its contract", 0.5, contract(INVERSE), fatal=True),
        check(INVERSE, "x_t counts with sqrt(abar)", 1.0, xt_term),
        check(INVERSE, "the output counts with -sqrt(1 - abar)", 1.0, output_term),
        check(INVERSE, "the image comes back from its velocity", 1.5, inverts),
        check(INVERSE, "holds at both ends of the schedule", 0.25, ends),
        check(INVERSE, "depends on its arguments alone", 0.25, repeats(INVERSE)),
        check(INVERSE, "keeps the images' precision", 0.25, precision(INVERSE)),
        check(INVERSE, "keeps the device", 0.25, device(INVERSE)),
    ),
    gate_cell="prediction_gate",
    gate_points=10.0,
    written=("prediction_written",),
)
