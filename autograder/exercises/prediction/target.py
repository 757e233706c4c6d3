"""Checks of `compute_training_target`: the velocity, judged against its definition."""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import not_by_the_batch
from autograder.exercises.prediction.asking import (
    OWN,
    SHAPES,
    TARGET,
    TOLERANCE,
    agree,
    asked,
    draw_schedule,
    levels,
    mixed_times,
    pictures,
)


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
