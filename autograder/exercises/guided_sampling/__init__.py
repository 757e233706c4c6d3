"""The guided_sampling exercise: one guided prediction, and images from noise (sampling.py)."""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Exercise, Failed, Probe, check_of
from autograder.exercises.calls import Returned, Thing, call, close, keeps_device, not_by_the_batch, seed_of
from autograder.exercises.guided_sampling import noise, sampling
from autograder.exercises.guided_sampling.gaussians import Gaussians, draw, labels_of

GUIDED, SAMPLE = "guided_eps", sampling.SAMPLE
SHAPES = ((3, 2, 5, 4), (1, 3, 4, 6), (4, 4, 4, 4), (5, 1, 8, 8))  # equal sizes can hide a wrong axis
NAMES = ("model", "x_t", "t", "labels")
TOY = (
    "with model = lambda x, t, y: y.view(-1, 1, 1, 1) + 0 * x, which returns the label, look at guided_eps(model, "
    "torch.zeros(1, 1, 2, 2), torch.tensor([0]), torch.tensor([3]), 10, w)"
)


def ask(probe: Probe, g: Gaussians, xt: Tensor, t: Tensor, y: Tensor, w: float, **more: object) -> Returned:
    args = Thing("model"), xt, t, y, g.null, w
    return call(probe, GUIDED, *args, rename=NAMES, served=g.served(), **more)


def batch(rng: Generator, shape: tuple[int, ...], mixed: bool) -> tuple[Gaussians, Tensor, Tensor, Tensor]:
    """A world, noisy images, timesteps and labels; unless mixed, one timestep and one label for all images."""
    g = draw(rng, shape[1:])
    count = shape[0]
    t = torch.randint(len(g.abar), (count,), generator=rng)
    y = labels_of(rng, g, count)
    if not mixed:
        t, y = t[:1].repeat(count), y[:1].repeat(count)
    return g, torch.randn(shape, generator=rng), t, y


def scale(rng: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def contract(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        g, *given = batch(rng, shape, mixed=True)
        for w in (0.0, 1.0, scale(rng, 1.5, 9), 4):
            ask(probe, g, *given, w).unchanged().tensor(shape, torch.float32)


def agrees(probe: Probe, world: tuple[Gaussians, Tensor, Tensor, Tensor], w: float, text: str, example: str) -> None:
    g, *given = world
    out = ask(probe, g, *given, w).tensor(tuple(given[0].shape))
    close(out, g.guided(*given, w), text, example, rtol=1e-4, atol=1e-4 * (1 + w))


def follows(scales: tuple[float, ...] | None, text: str, example: str, probe: Probe, rng: Generator) -> None:
    for shape in SHAPES[:3]:
        world = batch(rng, shape, mixed=False)
        for w in scales or (0.5, 4.0, scale(rng, 1.5, 9), 10, 40.0):
            agrees(probe, world, w, text, example)


def own(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        world = batch(rng, shape, mixed=True)
        for w in (0.0, 1.0, scale(rng, 1.5, 9)):
            try:
                agrees(
                    probe, world, w, "in a batch of several labels and timesteps, an image is not guided by its own",
                    "compare two labels in one batch with each label alone. The doubled images, labels and timesteps "
                    "must be in the same order, and the predictions must be split in that order",
                )  # fmt: skip
            except Failed as failed:
                g, *given = world
                out = ask(probe, g, *given, w).tensor(shape)
                each = zip(*(v.split(1) for v in given))
                alone = [ask(probe, g, *one, w).tensor((1, *shape[1:])) for one in each]
                raise not_by_the_batch(failed, out, alone, "the guidance itself is wrong") from None


def one_call(probe: Probe, rng: Generator) -> None:
    g, *given = batch(rng, (3, 2, 4, 4), mixed=True)
    for w in (0.0, 1.0, scale(rng, 1.5, 9)):
        returned = ask(probe, g, *given, w)
        returned.tensor()
        calls = len(returned.asked)
        if calls == 0:
            raise Failed("the model is not called at all: guidance combines its two predictions")
        if calls != 1:
            raise Failed(
                f"the model is called {calls} times, but one call is enough: get both predictions from one "
                "batch of 2·B images, and split the result into halves. To count the calls, put a print into a model "
                "of your own"
            )


def device(probe: Probe, rng: Generator) -> None:
    g, *given = batch(rng, (2, 1, 4, 4), mixed=True)
    for w in (0.0, 1.0, 3.0):
        more = {"rename": NAMES, "served": g.served(), "seed": seed_of(rng)}
        keeps_device(probe, GUIDED, Thing("model"), *given, g.null, w, **more)


UNCONDITIONAL = ("w = 0 does not give the prediction for the null class", f"{TOY}, w = 0.0: every value should be 10")
CONDITIONAL = ("w = 1 does not give the prediction for the label", f"{TOY}, w = 1.0: every value should be 3")
ON_THE_LINE = (
    "the result is not on the line from the unconditional to the conditional prediction, w times as far along it",
    f"{TOY}, for w = 0.0, 0.5, 1.0, 2.0: equal steps in w should change the result equally",
)
guided = partial(check_of, GUIDED, "lesson 5.2, “Guidance”")
sampled = partial(check_of, SAMPLE, "lesson 5.2, “Guided sampling”")
EXERCISE = Exercise(
    assignment="5_2_guidance",
    position=2,
    name="guided_sampling",
    answers=(GUIDED, SAMPLE),
    library=("__init__",),
    hidden=("guidance", "samplers", "diffusion"),
    needs={SAMPLE: (GUIDED,)},
    checks=(
        guided("keeps its contract", 0.5, contract),
        guided("w = 0 is unconditional", 0.75, partial(follows, (0.0,), *UNCONDITIONAL)),
        guided("w = 1 is conditional", 0.75, partial(follows, (1.0,), *CONDITIONAL)),
        guided("w goes from the one through the other", 1.25, partial(follows, None, *ON_THE_LINE)),
        guided("each image has its own label", 0.75, own),
        guided("one call of the model", 0.75, one_call),
        guided("keeps the device", 0.25, device),
        sampled("keeps its contract", 0.25, sampling.contract),
        sampled("starts from the generator's noise", 0.5, sampling.starts),
        sampled("steps down from T - 1", 0.75, sampling.steps),
        sampled("lands on images of the class", 0.5, sampling.lands),
        sampled("guidance_scale counts", 0.5, sampling.guides),
        sampled("samples differ as the images of a class do", 0.25, noise.varies),
        sampled("each step leaves the noise of its timestep", 0.5, noise.levels),
        sampled("the noise agrees with the clamped x_0", 0.5, noise.rederives),
        sampled("within [-1, 1]", 0.5, sampling.bounded),
        sampled("the generator decides", 0.25, sampling.decided),
        sampled("images do not see one another", 0.25, sampling.alone),
        sampled("keeps the device", 0.25, sampling.device),
    ),
    written=("guided_sampling_written",),
)
