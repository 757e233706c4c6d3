"""The inversion exercise: DDIM backwards, from an image to its noise, and an inpainting step (inpainting.py)."""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Exercise, Failed, Probe, check_of, finite
from autograder.exercises.calls import Returned, Thing, call, close, keeps_device, seed_of
from autograder.exercises.inversion import inpainting
from autograder.exercises.inversion.world import SHAPE, World, draw
from autograder.exercises.served import firsts

INVERT = "invert_ddim"
NAMES = ("denoise", "x0", "schedule", "timesteps")


def lists(rng: Generator, world: World) -> list[list[int]]:
    """Descending timesteps down to 0: few, uneven, and all of them."""
    last = len(world.abar) - 1
    some = torch.randperm(last - 1, generator=rng)[: int(torch.randint(4, 12, (), generator=rng))] + 1
    return [[last, last // 2, 0], sorted({last, 0, *some.tolist()}, reverse=True), list(range(last, -1, -1))]


def invert(probe: Probe, world: World, x0: Tensor, times: list[int], **more: object) -> Returned:
    given = Thing("denoise"), x0, Thing("schedule"), torch.tensor(times)
    return call(probe, INVERT, *given, rename=NAMES, served=world.served(), **more)


def contract(probe: Probe, rng: Generator) -> None:
    for shape in (SHAPE, (1, 1, 6, 6), (4, 4, 4, 4)):
        world = draw(rng, shape)
        last = len(world.abar) - 1
        for times in ([last, last // 2, last // 3], [last - 3, 5], list(range(last, -1, -7))):
            x0 = world.images(rng, shape[0])
            finite(invert(probe, world, x0, times).unchanged().tensor(shape, torch.float32), "the result")


def asked_where_it_starts(probe: Probe, rng: Generator) -> None:
    world = draw(rng)
    for times in lists(rng, world):
        returned = invert(probe, world, world.images(rng, 3), times)
        returned.tensor()
        seen, up = firsts(returned.asked, "t"), times[::-1]
        if seen not in ([up[0], *up[:-1]], up[:-1]):  # the first step may ask at 0 or not at all
            raise Failed(
                "the denoiser is not called once per step, at the timestep where the step starts: print the t that "
                "your denoiser gets. With timesteps 9, 6, 3, 0 it should be 0, 0, 3, 6. The first 0 is for the clean "
                "image, which has no timestep of its own, and 9 never occurs, since the last step ends there"
            )


def levels(probe: Probe, rng: Generator) -> None:
    """Every step in closed form. The times go down to 0, so the treatment of the clean image hardly matters."""
    for drifts in (False, True):
        world = draw(rng, drifts=drifts)
        for times in lists(rng, world):
            x0 = world.images(rng, 3)
            close(
                invert(probe, world, x0, times).tensor(SHAPE), world.inverted(x0, times), "a step does not lead to the "
                "next noise level", "take a denoiser that always returns eps = 0. Then at timestep t the image must "
                "be x0 times the square root of alphas_cumprod[t]. With one that always returns eps = 1, x0 = 0 must "
                "become the square root of 1 - alphas_cumprod[t]. If both hold, the levels are right, and the denoiser "
                "is called at a timestep other than where the step starts",
                rtol=3e-3, atol=3e-3,
            )  # fmt: skip


def first_step(probe: Probe, rng: Generator) -> None:
    for share in (0.3, 0.7):
        world = draw(rng)
        times, x0 = [int(share * len(world.abar))], world.images(rng, 3)
        close(
            invert(probe, world, x0, times).tensor(SHAPE), world.inverted(x0, times), "the first step does not start "
            "from the clean image", "with a single timestep in the list, the step goes from abar = 1, where x0 has no "
            "noise, to alphas_cumprod[t]. The noise is the denoiser's at t, and the image is x0 itself",
            rtol=1e-3, atol=1e-3,
        )  # fmt: skip


def leads_back(probe: Probe, rng: Generator) -> None:
    """The parent's DDIM recovers the image, as closely as from the right noise."""
    world = draw(rng)
    times, x0 = list(range(len(world.abar) - 1, -1, -1)), world.images(rng, 3)
    z = finite(invert(probe, world, x0, times).tensor(SHAPE), "the noise")
    right = (world.sampled(world.inverted(x0, times), times) - x0).abs().mean()
    if (world.sampled(z, times) - x0).abs().mean() > 1.5 * right + 0.005:
        raise Failed(
            "DDIM does not lead back from the noise to the image: invert an image with all timesteps, run DDIM with "
            "eta = 0 from the result, and compare"
        )


def certain(probe: Probe, rng: Generator) -> None:
    world = draw(rng)
    times, x0 = lists(rng, world)[1], world.images(rng, 3)
    one, two = (invert(probe, world, x0, times, seed=seed_of(rng)).tensor(SHAPE) for _ in range(2))
    if not torch.equal(one, two):
        raise Failed(
            "two inversions of the same image differ: inversion draws no random noise, since the image determines the "
            "noise"
        )


def alone(probe: Probe, rng: Generator) -> None:
    world = draw(rng)
    times, x0 = lists(rng, world)[1], world.images(rng, 3)
    whole = invert(probe, world, x0, times).tensor(SHAPE)
    each = torch.cat([invert(probe, world, one, times).tensor((1, *SHAPE[1:])) for one in x0.split(1)])
    if not torch.allclose(whole, each, rtol=1e-4, atol=1e-4):
        raise Failed(
            "an image's noise depends on other images of the batch: invert two images together, then each alone, and "
            "compare"
        )


def device(probe: Probe, rng: Generator) -> None:
    world = draw(rng)
    given = Thing("denoise"), world.images(rng, 3), Thing("schedule"), torch.tensor(lists(rng, world)[0])
    keeps_device(probe, INVERT, *given, rename=NAMES, served=world.served())


check = partial(check_of, INVERT, inpainting.LESSON)
EXERCISE = Exercise(
    assignment="5_4_flow",
    position=4,
    name="inversion",
    answers=(INVERT, inpainting.STEP),
    library=("__init__",),
    hidden=("editing", "samplers", "diffusion", "guidance"),
    checks=(
        check("keeps its contract", 0.5, contract),
        check("asks where a step starts", 0.5, asked_where_it_starts),
        check("each step leads to the next noise level", 2.0, levels),
        check("starts from the clean image", 0.5, first_step),
        check("DDIM leads back", 1.25, leads_back),
        check("draws nothing", 0.5, certain),
        check("images do not see one another", 0.5, alone),
        check("keeps the device", 0.25, device),
        *inpainting.checks(),
    ),
    written=("inversion_written",),
)
