"""Checks of both functions of the prediction exercise: the velocity, against its definition, and its inverse."""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import keeps_device, not_by_the_batch, seed_of
from autograder.exercises.prediction import asking
from autograder.exercises.prediction.asking import INVERSE, TARGET, agree, asked, draw_schedule, levels, pictures
from ddpm_core.schedule import cosine_beta_schedule, linear_beta_schedule

FAR = 100.0  # times the usual range, where a clamp shows


def contract(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        for shape in ((3, 1, 8, 8), (1, 3, 5, 4), (4, 2, 6, 3)):
            abar = draw_schedule(rng)
            t = torch.randint(len(abar), shape[:1], generator=rng)
            a, b = pictures(rng, shape), pictures(rng, shape)
            asked(probe, name, a, b, t, abar).unchanged().tensor(shape, torch.float32)

    return check


def precision(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        abar, shape = draw_schedule(rng), (2, 1, 4, 4)
        t = asking.mixed_times(rng, 2, 200)
        pair = pictures(rng, shape), pictures(rng, shape)
        returned = asked(probe, name, *pair, t, abar, dtype=torch.float64)
        out = returned.tensor(shape)
        if returned.dtype != torch.float64:
            raise Failed(f"float64 images and a float64 schedule give {returned.dtype}: look for .float() or .half()")
        if torch.equal(out, out.float().double()):
            raise Failed("float64 inputs give only float32 precision: some step in between rounds them")

    return check


def device(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        abar, shape = draw_schedule(rng).float(), (2, 1, 4, 4)
        a, b = pictures(rng, shape).float(), pictures(rng, shape).float()
        keeps_device(probe, name, a, b, torch.tensor([3, 5]), asking.schedule_of(abar), seed=seed_of(rng))

    return check


def repeats(name: str):
    def check(probe: Probe, rng: Generator) -> None:
        abar, shape = draw_schedule(rng), (3, 2, 4, 4)
        one, other = ((pictures(rng, shape), pictures(rng, shape), asking.mixed_times(rng, 3, 200)) for _ in "ab")
        before = asked(probe, name, *one, abar).tensor(shape)
        asked(probe, name, *other, draw_schedule(rng))
        after = asked(probe, name, *one, abar)
        if not torch.equal(before, after.tensor(shape)) or after.about.get("drew"):
            raise Failed(
                "two calls with the same inputs differ, or random numbers are drawn: the result must depend only on "
                "the arguments. Call it twice, with a different call in between, and compare"
            )

    return check


def mistake(probe: Probe, rng: Generator, abar: Tensor) -> str:
    """What a wrong target is instead, if it is a known mistake."""
    x0, eps = pictures(rng, (2, 1, 4, 4)), torch.randn(2, 1, 4, 4, generator=rng).double()
    t = torch.full((2,), len(abar) // 3)
    r, s = levels(abar, t)
    known = {
        "it is the noise itself, as in epsilon-prediction": eps,
        "it is the image itself, as in x0-prediction": x0,
        "it is the noisy image x_t: a sign is wrong and the factors are swapped": r * x0 + s * eps,
        "it has the opposite sign: in the velocity the noise is positive": s * x0 - r * eps,
        "its second term has the wrong sign": r * eps + s * x0,
        "the factors of noise and image are swapped": s * eps - r * x0,
        "the square roots are missing: the factors should be standard deviations, not variances": r**2 * eps
        - s**2 * x0,
    }
    out = asked(probe, TARGET, x0, eps, t, abar).tensor((2, 1, 4, 4)).double()
    found = [text for text, target in known.items() if ((out - target).abs() < 1e-4).all()]
    return f". Your target is not the velocity: {found[0]}" if found else ""


def target_term(which: str):
    """A check of one of the target's two terms: the other input is zero."""
    given, other, factor = ("noise", "x_0", "+sqrt(abar)") if which == "noise" else ("x_0", "noise", "-sqrt(1 - abar)")

    def check(probe: Probe, rng: Generator) -> None:
        abar, shape = draw_schedule(rng), (3, 2, 5, 4)
        for size in (1.0, 1.0, 1.0 if which == "image" else FAR):  # noise has no bounds, images lie in [-1, 1]
            t = torch.randint(len(abar), (1,), generator=rng).repeat(3)
            (r, s), x, zero = levels(abar, t), pictures(rng, shape), torch.zeros(shape, dtype=torch.float64)
            pair, right = ((zero, size * x), r * x) if which == "noise" else ((x, zero), -s * x)
            out = finite(asked(probe, TARGET, *pair, t, abar).tensor(shape), "the target")
            if ((out.double() / size - right).abs() > asking.TOLERANCE).any():
                if size > 1:
                    raise Failed(
                        "large noise is clamped, or changed in another way: with x_0 = torch.zeros(1, 1, 2, 2), ten "
                        "times the noise must give ten times the target. Normal noise has no bounds"
                    )
                raise Failed(
                    f"the factor of the {which} in the target is not {factor}: with {other} = torch.zeros(1, 1, 2, 2) "
                    f"and {given} = torch.ones(1, 1, 2, 2), check a value and its sign at the first step, where abar "
                    f"is almost 1, and at the last{mistake(probe, rng, abar)}"
                )

    return check


def own_time(probe: Probe, rng: Generator) -> None:
    for abar, x0, eps, t in asking.batches(rng):
        (r, s), shape = levels(abar, t), tuple(x0.shape)
        out = asked(probe, TARGET, x0, eps, t, abar).tensor(shape)
        try:
            agree(out, r * eps - s * x0, r, f"an image does not get the noise level of its own timestep: {asking.OWN}")
        except Failed as failed:
            each = zip(x0.split(1), eps.split(1), t.split(1))
            alone = [asked(probe, TARGET, *one, abar).tensor((1, *shape[1:])) for one in each]
            raise not_by_the_batch(failed, out, alone, "the target is not the velocity") from None


XT = (
    "the factor of x_t in the image is not sqrt(abar): multiply x_t = sqrt(abar)·x_0 + sqrt(1 - abar)·noise by "
    "sqrt(abar) and v = sqrt(abar)·noise - sqrt(1 - abar)·x_0 by sqrt(1 - abar), subtract, and see what happens to "
    "the noise"
)
OUTPUT = (
    "the factor of the network's output in the image is not -sqrt(1 - abar): with model_output = torch.ones(1, 1, 2, "
    "2) and x_t = torch.zeros(1, 1, 2, 2), check a value and its sign at the first and at the last timestep"
)
BACK = (
    "the velocity does not give its image back: take x_0 = torch.ones(1, 1, 2, 2) and some noise, compute x_t and v "
    "by hand at timesteps = torch.tensor([100]), and call predict_x0(v, x_t, …). In a batch, each image has its own "
    f"timestep: {asking.OWN}"
)


def inverse_term(which: str):
    """A check of one of the inverse's two terms: the other input is zero."""

    def check(probe: Probe, rng: Generator) -> None:
        abar, x = draw_schedule(rng), pictures(rng, (3, 2, 5, 4))
        zero = torch.zeros_like(x)
        for _ in range(3):
            t = torch.randint(len(abar), (1,), generator=rng).repeat(3)
            r, s = levels(abar, t)
            pair, right, text = ((zero, x), r * x, XT) if which == "x_t" else ((x, zero), -s * x, OUTPUT)
            agree(asked(probe, INVERSE, *pair, t, abar).tensor((3, 2, 5, 4)), right, r, text)

    return check


def inverts(probe: Probe, rng: Generator) -> None:
    for abar, x0, eps, t in asking.batches(rng):
        r, s = levels(abar, t)
        out = asked(probe, INVERSE, r * eps - s * x0, r * x0 + s * eps, t, abar).tensor(tuple(x0.shape))
        agree(out, x0, r, BACK)


def unclamped(probe: Probe, rng: Generator) -> None:
    """Inputs a hundred times larger must give an image a hundred times larger."""
    abar, shape = draw_schedule(rng), (4, 2, 5, 4)
    t = asking.mixed_times(rng, 4, 300)
    (r, _), v, xt = levels(abar, t), pictures(rng, shape), pictures(rng, shape)
    one, far = (asked(probe, INVERSE, k * v, k * xt, t, abar).tensor(shape).double() for k in (1.0, FAR))
    agree(
        far / FAR, one, r, "an image outside [-1, 1] is clamped, or changed in another way: predict_x0(3 * v, 3 * x_t, "
        "…) must be three times predict_x0(v, x_t, …). Leave the clamp to the sampler, which needs to know when it acts"
    )  # fmt: skip


def ends(probe: Probe, rng: Generator) -> None:
    """At the first and last timesteps of both named schedules, where going through eps loses precision."""
    for make in (linear_beta_schedule, cosine_beta_schedule):
        abar = torch.cumprod(1 - make(1000).double(), 0)
        t, x0 = torch.tensor([0, 999]), pictures(rng, (2, 1, 4, 4))
        eps = torch.randn(2, 1, 4, 4, generator=rng).double()
        r, s = levels(abar, t)
        out = asked(probe, INVERSE, r * eps - s * x0, r * x0 + s * eps, t, abar).tensor((2, 1, 4, 4))
        finite(out, "the image at the first or the last timestep of a 1000-step schedule")
        text = (
            "at the first or the last timestep, predict_x0 does not recover the image: try timesteps = "
            "torch.tensor([0, 999])"
        )
        agree(out, x0, r, text)
