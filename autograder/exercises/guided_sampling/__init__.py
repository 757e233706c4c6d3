"""The guided_sampling exercise: one guided prediction, and images from noise (sampling.py)."""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Check, Exercise, Failed, Probe
from autograder.exercises.calls import Returned, Thing, call, close, keeps_device, seed_of
from autograder.exercises.guided_sampling import sampling
from autograder.exercises.guided_sampling.gaussians import Gaussians, draw, labels_of

GUIDANCE, SAMPLING = "lesson 5.2, “Guidance”", "lesson 5.2, “Guided sampling”"
GUIDED, SAMPLE = "guided_eps", sampling.SAMPLE
SHAPES = ((3, 2, 5, 4), (1, 3, 4, 6), (4, 4, 4, 4), (5, 1, 8, 8))  # sizes that coincide hide a wrong axis
TOY = (
    "with model = lambda x, t, y: y.view(-1, 1, 1, 1) + 0 * x, which answers with the label, look at guided_eps(model, "
    "torch.zeros(1, 1, 2, 2), torch.tensor([0]), torch.tensor([3]), 10, w)"
)


def ask(probe: Probe, g: Gaussians, xt: Tensor, t: Tensor, y: Tensor, w: float, **more: object) -> Returned:
    names = ("model", "x_t", "t", "labels")
    return call(probe, GUIDED, Thing("model"), xt, t, y, g.null, w, rename=names, besides=g.tensors, **more)


def batch(rng: Generator, shape: tuple[int, ...], mixed: bool) -> tuple[Gaussians, Tensor, Tensor, Tensor]:
    """A world, noisy images, timesteps and labels; if not mixed, one timestep and one label for all images."""
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


def follows(scales: tuple[float, ...] | None, text: str, example: str):
    def check(probe: Probe, rng: Generator) -> None:
        for shape in SHAPES[:3]:
            g, *given = batch(rng, shape, mixed=False)
            for w in scales or (0.5, 4.0, scale(rng, 1.5, 9), 10):
                out = ask(probe, g, *given, w).tensor(shape)
                close(out, g.guided(*given, w), text, example, rtol=1e-4, atol=1e-4 * (1 + w))

    return check


def own(probe: Probe, rng: Generator) -> None:
    for shape in SHAPES:
        g, *given = batch(rng, shape, mixed=True)
        for w in (0.0, 1.0, scale(rng, 1.5, 9)):
            close(
                ask(probe, g, *given, w).tensor(shape), g.guided(*given, w),
                "in a batch of several labels and timesteps, an image is not guided by its own",
                "ask for two labels in one batch and for each alone, and compare: after torch.cat([x_t, x_t]) the "
                "labels and timesteps must be doubled in the same order, and the halves taken apart in it",
                rtol=1e-4, atol=1e-4 * (1 + w),
            )  # fmt: skip


def one_call(probe: Probe, rng: Generator) -> None:
    g, *given = batch(rng, (3, 2, 4, 4), mixed=True)
    for w in (0.0, 1.0, scale(rng, 1.5, 9)):
        returned = ask(probe, g, *given, w)
        returned.tensor()
        calls = returned.about.get("calls")
        if calls == 0:
            raise Failed("the model is not called at all: its answers are what guidance compares")
        if calls != 1:
            raise Failed(
                f"the model is called {str(calls)[:9]} times where one call is enough: put a print into a model of "
                "your own, and count; ask for both answers at once, on a batch of 2·B images, and take the halves apart"
            )


def device(probe: Probe, rng: Generator) -> None:
    g, xt, t, y = batch(rng, (2, 1, 4, 4), mixed=True)
    for w in (0.0, 1.0, 3.0):
        keeps_device(
            probe, GUIDED, Thing("model"), xt, t, y, g.null, w, rename=("model", "x_t", "t", "labels"),
            besides=g.tensors, seed=seed_of(rng),
        )  # fmt: skip


def check(answer: str, what: str, points: float, run) -> Check:
    return Check(f"{answer}: {what}", points, run, answer=answer, lesson=GUIDANCE if answer == GUIDED else SAMPLING)


EXERCISE = Exercise(
    assignment="5_2_guidance",
    position=2,
    name="guided_sampling",
    answers=(GUIDED, SAMPLE),
    library=("__init__",),
    hidden=("guidance", "samplers", "diffusion"),
    needs={SAMPLE: (GUIDED,)},
    checks=(
        check(GUIDED, "keeps its contract", 0.5, contract),
        check(GUIDED, "w = 0 is unconditional", 0.75, follows(
            (0.0,), "w = 0 is not the answer for the null class", f"{TOY}, w = 0.0: all that should come out is 10",
        )),
        check(GUIDED, "w = 1 is conditional", 0.75, follows(
            (1.0,), "w = 1 is not the answer for the label", f"{TOY}, w = 1.0: all that should come out is 3",
        )),
        check(GUIDED, "w goes from the one through the other", 1.25, follows(
            None, "the result does not lie on the line from the unconditional through the conditional answer, w times "
            "as far out as the latter", f"{TOY}, for w = 0.0, 0.5, 1.0, 2.0: each half should be the same step on",
        )),
        check(GUIDED, "each image has its own label", 0.75, own),
        check(GUIDED, "one call of the model", 0.75, one_call),
        check(GUIDED, "keeps the device", 0.25, device),
        check(SAMPLE, "keeps its contract", 0.5, sampling.contract),
        check(SAMPLE, "starts from the generator's noise", 0.75, sampling.starts),
        check(SAMPLE, "steps down from T - 1", 0.75, sampling.steps),
        check(SAMPLE, "lands on images of the class", 0.75, sampling.lands),
        check(SAMPLE, "guidance_scale counts", 0.5, sampling.guides),
        check(SAMPLE, "each step leaves the noise of its timestep", 0.5, sampling.levels),
        check(SAMPLE, "within [-1, 1]", 0.5, sampling.bounded),
        check(SAMPLE, "the generator decides", 0.25, sampling.decided),
        check(SAMPLE, "images do not see one another", 0.25, sampling.alone),
        check(SAMPLE, "keeps the device", 0.25, sampling.device),
    ),
    written=("guided_sampling_written",),
)  # fmt: skip
