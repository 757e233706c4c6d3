"""Checks of what holds for both functions of the prediction exercise."""

import torch
from torch import Generator

from autograder.exercises.base import Failed, Probe
from autograder.exercises.calls import keeps_device, seed_of
from autograder.exercises.prediction.asking import asked, draw_schedule, mixed_times, pictures, schedule_of


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
