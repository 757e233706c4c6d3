"""The interpolation exercise: paths between two embeddings, and a row of images along one (row.py)."""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from autograder.exercises.base import AnswerError, Exercise, Failed, Probe, check_of, finite
from autograder.exercises.calls import call, close, keeps_device
from autograder.exercises.interpolation import row
from autograder.exercises.interpolation.row import LESSON
from autograder.exercises.interpolation.world import ROW, arc

NAME = "interpolate_embeddings"
Judge = Callable[[Tensor], None]  # of a path; raises Failed if it is wrong
UNIT, LENGTH = partial(F.normalize, dim=1), partial(torch.linalg.vector_norm, dim=1)
EXAMPLE = "try a = torch.tensor([1.0, 0.0]), b = torch.tensor([0.0, 3.0]), alphas = torch.tensor([0.0, 0.5, 1.0])"


def pair(rng: Generator, size: int, low: float = 0.4, high: float = 2.6) -> tuple[Tensor, Tensor]:
    """Two vectors (D,) of different lengths, with an angle between `low` and `high` (in radians) between them."""
    u, v = torch.randn(2, size, generator=rng, dtype=torch.float64)
    u = F.normalize(u, dim=0)
    v = F.normalize(v - (u @ v) * u, dim=0)
    angle = low + (high - low) * torch.rand((), generator=rng, dtype=torch.float64)
    lengths = torch.tensor([0.5, 2.5]) + torch.rand(2, generator=rng)
    return (lengths[0] * u).float(), (lengths[1] * (angle.cos() * u + angle.sin() * v)).float()


def inner(rng: Generator, count: int) -> Tensor:
    """alphas (N,), unordered and away from the ends."""
    return 0.05 + 0.9 * torch.rand(count, generator=rng)


def path(probe: Probe, a: Tensor, b: Tensor, alphas: Tensor, mode: str | None = None) -> Tensor:
    more = {} if mode is None else {"mode": mode}
    out = call(probe, NAME, a, b, alphas, rename=("a", "b", "alphas"), **more)
    return out.unchanged().tensor((len(alphas), len(a)), torch.float32)


def expecting(wanted: Tensor, *told: str, of: Callable[[Tensor], Tensor] = Tensor.double, **within: float) -> Judge:
    """Judge that the path, or `of` applied to it, is close to `wanted`."""
    return lambda out: close(of(finite(out, "the result").double()), wanted, *told, **within)


def judged(probe: Probe, given: tuple[Tensor, Tensor, Tensor], mode: str | None, judge: Judge) -> None:
    """judge(the path). If reordering alphas makes no difference, the message says that instead."""
    out = path(probe, *given, mode)
    try:
        judge(out)
    except Failed:
        a, b, alphas = given
        if len(alphas) > 1 and torch.equal(path(probe, a, b, alphas.flip(0), mode), out):
            raise Failed(
                f"alphas never reach the result, which stays the same when they are reordered: {EXAMPLE}, and then "
                "alphas.flip(0). Row i belongs to alphas[i], for any number and order of alphas"
            ) from None
        raise


def line(a: Tensor, b: Tensor, alphas: Tensor) -> Tensor:
    return (1 - alphas.double())[:, None] * a.double() + alphas.double()[:, None] * b.double()


def contract(probe: Probe, rng: Generator) -> None:
    for size, count in ((8, 5), (6, 6), (2, 1), (64, 3)):
        a, b = pair(rng, size)
        for mode in (None, "linear", "spherical"):
            finite(path(probe, a, b, inner(rng, count), mode), f"{NAME}'s result")
    (a, b), alphas = pair(rng, 8), inner(rng, 5)
    for mode in ("linear", "spherical"):
        returned = call(probe, NAME, *(x.double() for x in (a, b, alphas)), mode=mode, rename=("a", "b", "alphas"))
        returned.tensor((5, 8), torch.float64)


def linear(probe: Probe, rng: Generator) -> None:
    for size, count in ((8, 5), (6, 6), (5, 1), (3, 7)):
        (a, b), alphas = pair(rng, size), torch.cat([torch.tensor([0.0, 1.0]), inner(rng, count)])
        for mode in (None, "linear"):
            text = "the path is not a straight line from a (alpha = 0) to b (alpha = 1)"
            how = f"{EXAMPLE}. Row i mixes a and b with the weight alphas[i], so reshape alphas from (N,) to (N, 1)"
            told = text if mode else f"{text} when no mode is given", how
            judged(probe, (a, b, alphas), mode, expecting(line(a, b, alphas), *told))


def ends(probe: Probe, rng: Generator) -> None:
    for _ in range(3):
        a, b = pair(rng, 7)
        told = (
            "the spherical path does not start at a and end at b",
            f'{EXAMPLE}, mode="spherical". The first and last rows should be a and b themselves, with their lengths',
        )
        there = expecting(torch.stack([b, a]), *told, rtol=1e-3, atol=1e-4)
        judged(probe, (a, b, torch.tensor([1.0, 0.0])), "spherical", there)


def direction(probe: Probe, rng: Generator) -> None:
    near = {"low": 0.036, "high": 0.05}, {"low": 0.12, "high": 0.3}  # at 2°, a limit of 0.9995 on the cosine is passed
    opposite = tuple({"low": math.pi - a["high"], "high": math.pi - a["low"]} for a in near)
    sizes = (2, 5, 1.0), (6, 6, 0.02), (40, 3, 50.0), *[(6, 5, 1.0)] * 4
    for (size, count, scale), between in zip(sizes, ({}, {}, {}, *near, *opposite)):
        (a, b), alphas = pair(rng, size, **between), inner(rng, count)
        a, b = scale * a, 4 * scale * b  # of lengths so different that even a short arc is no straight line
        told = (
            "the direction does not turn evenly along the arc",
            f'{EXAMPLE}, mode="spherical". The middle row should point at 45°, since alpha = 0.5 is half of the '
            "angle. The angle is between directions, so divide both vectors by their lengths first. A straight line is "
            "only for angles so near 0° or 180° that the sine is lost in rounding, not for 2°",
        )
        turned = expecting(F.normalize(arc(a, b, alphas), dim=1), *told, of=UNIT, rtol=1e-3, atol=1e-3)
        judged(probe, (a, b, alphas), "spherical", turned)


def length(probe: Probe, rng: Generator) -> None:
    for size, count in ((2, 5), (6, 6), (40, 3)):
        (a, b), alphas = pair(rng, size), inner(rng, count)
        told = (
            "the length does not change linearly from a's to b's",
            f'{EXAMPLE}, mode="spherical". The three rows should have lengths 1, 2 and 3',
        )
        long = expecting(arc(a, b, alphas).norm(dim=1), *told, of=LENGTH, rtol=2e-3, atol=1e-4)
        judged(probe, (a, b, alphas), "spherical", long)


def straight(probe: Probe, rng: Generator, pairs: list[tuple[Tensor, Tensor]], what: str, example: str) -> None:
    """Spherical mode without an arc: finite and linear."""
    for a, b in pairs:
        alphas = torch.cat([torch.tensor([0.0, 1.0]), inner(rng, 3)])
        out = path(probe, a, b, alphas, "spherical")
        how = f'try mode="spherical" with {example}, alphas = torch.tensor([0.0, 0.25, 1.0])'
        if not torch.isfinite(out).all():
            raise Failed(
                f"{what} give nan or inf: {how}. There is no arc between them and sin(angle) is 0, so use the "
                "straight line"
            )
        close(out, line(a, b, alphas), f"{what} are not joined by a straight line", how, rtol=2e-3, atol=2e-3)


def multiples(rng: Generator, count: int, sign: int = 1) -> list[tuple[Tensor, Tensor]]:
    """Vectors (16,), each with a multiple of it."""
    vectors = (torch.randn(16, generator=rng) for _ in range(count))
    return [(a, sign * (0.5 + 2 * float(torch.rand((), generator=rng))) * a) for a in vectors]


def parallel(probe: Probe, rng: Generator) -> None:
    pairs = multiples(rng, 25)  # rounding pushes the cosine of some above 1
    a = pairs[-1][0]
    pairs += [(a, a.clone()), (a, 1.5 * a + 1e-4 * torch.randn(16, generator=rng))]
    straight(probe, rng, pairs, "parallel vectors", "a = torch.tensor([0.3, 0.4]), b = 2 * a")


def opposite(probe: Probe, rng: Generator) -> None:
    example = "a = torch.tensor([0.3, 0.4]), b = -2 * a (in float32 their cosine may be -0.9999999, so compare with a "
    straight(probe, rng, multiples(rng, 12, -1), "opposite vectors", example + "tolerance)")


def zero(probe: Probe, rng: Generator) -> None:
    a, nothing = torch.randn(9, generator=rng), torch.zeros(9)
    pairs = [(a, nothing), (nothing, a), (nothing, nothing.clone())]
    straight(probe, rng, pairs, "pairs with a zero vector", "a = torch.zeros(2), b = torch.tensor([0.3, 0.4])")


def unknown_mode(probe: Probe, rng: Generator) -> None:
    (a, b), alphas = pair(rng, 4), inner(rng, 3)
    try:
        call(probe, NAME, a, b, alphas, mode="cubic")
    except AnswerError as e:
        if e.kind == "ValueError":
            return
        raise
    raise Failed(f'an unknown mode should raise a ValueError: {NAME}(a, b, alphas, mode="cubic") returns a result')


def device(probe: Probe, rng: Generator) -> None:
    (a, b), alphas = pair(rng, 6), inner(rng, 4)
    for mode in ("linear", "spherical"):
        keeps_device(probe, NAME, a, b, alphas, mode=mode)
    keeps_device(probe, NAME, a, 2 * a, alphas, mode="spherical")


check = partial(check_of, NAME, LESSON)
EXERCISE = Exercise(
    assignment="5_3_conditioning",
    position=4,
    name="interpolation",
    answers=(NAME, ROW),
    library=("__init__", "schedule"),
    hidden=("interpolation", "samplers", "guidance", "diffusion"),
    needs={ROW: (NAME,)},
    checks=(
        check("keeps its contract", 0.5, contract),
        check("linear: a straight line", 1.0, linear),
        check("spherical: from a to b", 0.5, ends),
        check("spherical: the direction turns evenly", 1.0, direction),
        check("spherical: the length goes linearly", 0.5, length),
        check("spherical: parallel vectors", 0.5, parallel),
        check("spherical: opposite vectors", 0.25, opposite),
        check("spherical: zero vectors", 0.25, zero),
        check("refuses an unknown mode", 0.25, unknown_mode),
        check("keeps the device", 0.25, device),
        *row.CHECKS,
    ),
    written=("interpolation_written",),
)
