"""Checks of `sample_conditional`: whatever the sampler, its images must be those of a known world.

The choice of sampler is free: if the classes have no variance, one image each, every sampler must arrive at that image,
and on the way must give the model that image with exactly the noise of the timestep.
"""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import Returned, Seeded, Thing, call, close, keeps_device, same, seed_of
from autograder.exercises.guided_sampling.gaussians import Gaussians, draw, labels_of
from autograder.exercises.served import firsts

SAMPLE = "sample_conditional"
SHAPE = (2, 5, 7)  # (C, H, W); 70 values: drawn one image at a time, they differ from those drawn at once
NAMES = ("model", "schedule", "class_labels")
LANDED = 0.02  # tolerance per pixel in a world without variance; classes lie at least 0.06 from the null class
TRY = f"{SAMPLE}(model, schedule, torch.tensor([3, 5]), image_shape, generator=torch.Generator().manual_seed(0))"
EXACT = (
    "try model = lambda x, t, y: (x - a(t).sqrt() * picture(y)) / (1 - a(t)).sqrt() with a(t) = abar[t].view(-1, 1, "
    "1, 1) and picture(y) = (y / 10).view(-1, 1, 1, 1), which knows exactly one image per class"
)


def ask(probe: Probe, g: Gaussians, y: Tensor, *more: object, shape: tuple = SHAPE, **named: object) -> Returned:
    args = (Thing("model"), Thing("schedule"), y, shape, *more)
    return call(probe, SAMPLE, *args, rename=NAMES, served=g.served(), **named)


def contract(probe: Probe, rng: Generator) -> None:
    for count, shape in ((1, SHAPE), (3, (1, 8, 8)), (4, (4, 4, 4))):
        g = draw(rng, shape, spread=0.1, apart=0.1)
        for w in (0.0, 1.0, 3.0):
            out = ask(probe, g, labels_of(rng, g, count), w, 6, Seeded(seed_of(rng)), shape=shape)
            finite(out.unchanged().tensor((count, *shape), torch.float32), "the result")


def starts(probe: Probe, rng: Generator) -> None:
    """The images given to the model at the first timestep, in any order and number of calls, are the noise images, all
    of them. A sampler that calls the model again at that timestep may use other images then."""
    for count in (1, 3):
        g, seed = draw(rng, SHAPE, spread=0.2, apart=0.1), seed_of(rng)
        returned = ask(probe, g, labels_of(rng, g, count), 3.0, 5, Seeded(seed))
        noise = torch.randn((count, *SHAPE), generator=torch.Generator().manual_seed(seed))
        times, first = times_of(returned), returned.asked[0]["x"]
        seen = shown_at(returned, int(times[0]))
        if not same_image(first, noise).any(1).all() or not same_image(noise, seen).any(1).all():
            raise Failed(
                "the first images given to the model are not torch.randn(shape, generator=generator), drawn once for "
                "the whole batch with shape (B, C, H, W): print the first x that the model gets, and compare"
            )


def same_image(a: Tensor, b: Tensor) -> Tensor:
    """Which images of a (N, ...) equal which of b (M, ...): (N, M) bool."""
    return (a.float().flatten(1)[:, None] - b.float().flatten(1)).abs().amax(2) < 1e-5


def times_of(returned: Returned, where: str = "") -> Tensor:
    """The first timestep of every model call, (calls,) int64; Failed if there was none, or no images were returned."""
    returned.tensor()
    if not returned.asked:
        raise Failed(f"the model is never called{where}: put a print into a model of your own to check")
    return torch.tensor(firsts(returned.asked, "t"))


def shown_at(returned: Returned, t: int) -> Tensor:
    """All images that the model was given at this timestep, (N, C, H, W)."""
    return torch.cat([asked["x"][asked["t"] == t] for asked in returned.asked])


def runs_of(times: Tensor, start: int) -> list[Tensor]:
    """The timesteps of each run down from `start`: an answer may sample the batch in several parts."""
    again = ((times[1:] == start) & (times[:-1] != start)).nonzero().flatten() + 1
    return list(times.tensor_split(again))


def steps(probe: Probe, rng: Generator) -> None:
    g, images = draw(rng, SHAPE, spread=0.2, apart=0.1), 2
    total = len(g.abar)
    hint = "print the t that the model gets, with num_steps=5"
    for count in (1, 7, int(torch.randint(10, 50, (), generator=rng)), total):
        returned = ask(probe, g, labels_of(rng, g, images), 3.0, count, Seeded(seed_of(rng)))
        times = times_of(returned, f" with num_steps={count}")
        if times[0] != total - 1:
            raise Failed(f"the first step is not at T - 1, the timestep of pure noise: {hint}")
        runs = runs_of(times, total - 1)
        if len(runs) > images or any((run.diff() > 0).any() for run in runs):
            raise Failed(f"the timesteps do not decrease: {hint}")
        if not all(count <= len(run.unique()) <= 2 * count and len(run) <= 4 * images * count for run in runs):
            raise Failed(f"the number of timesteps visited is not num_steps: {hint}, and again with 10")
    y = labels_of(rng, g, images)
    fifty, default = (ask(probe, g, y, 3.0, *n, generator=Seeded(0)) for n in ((50,), ()))
    if not torch.equal(times_of(fifty), times_of(default)):
        raise Failed("without num_steps, the timesteps are not those of num_steps=50: make 50 the default")


def lands(probe: Probe, rng: Generator) -> None:
    for count in (6, int(torch.randint(10, 40, (), generator=rng))):
        g = draw(rng, SHAPE, spread=0.0, apart=0.5, turns=True)
        y = labels_of(rng, g, 4)
        out = ask(probe, g, y, 1.0, count, Seeded(seed_of(rng))).tensor((4, *SHAPE))
        close(
            out, g.mean[y], "with a model that knows exactly one image per class, the samples are not these images",
            f"{EXACT}. Is abar taken at t, and does the last step go to abar = 1?", rtol=0, atol=LANDED,
        )  # fmt: skip


def guides(probe: Probe, rng: Generator) -> None:
    g = draw(rng, SHAPE, spread=0.0, apart=0.12, turns=True)
    y = labels_of(rng, g, 3)
    text = "guidance_scale does not move the images w times as far as from the null class to the class"
    example = (
        "with a model that knows exactly one image of each class and one of the null class, w = 0 must give the image "
        "of the null class, w = 1 that of the class, and w = 2 must go as far again. The default is 4.0"
    )
    for w in (0.0, 2.5, 5.0, None):
        out = ask(probe, g, y, **({} if w is None else {"guidance_scale": w}), generator=Seeded(seed_of(rng)))
        right = g.centre(y, 4.0 if w is None else w)
        close(out.tensor((3, *SHAPE)), right, text, example, rtol=0, atol=LANDED)


def bounded(probe: Probe, rng: Generator) -> None:
    for w in (0.0, 1.0, 8.0):
        g = draw(rng, SHAPE, spread=0.7, apart=1.5)
        out = ask(probe, g, labels_of(rng, g, 4), w, 10, Seeded(seed_of(rng))).tensor((4, *SHAPE))
        if finite(out, "the result").abs().max() > 1 + 1e-5:
            raise Failed(
                "some pixels lie outside [-1, 1]: look at the smallest and largest values of the result with "
                "guidance_scale=10. Clamp the estimate of x_0 in every step"
            )


def decided(probe: Probe, rng: Generator) -> None:
    g = draw(rng, SHAPE, spread=0.3, apart=0.2)
    y, (one, other) = labels_of(rng, g, 2), (Seeded(seed_of(rng)) for _ in range(2))
    first, again, different = (ask(probe, g, y, 2.0, 8, s, seed=i) for i, s in enumerate((one, one, other)))
    if not same(first.tensor((2, *SHAPE)), again.tensor((2, *SHAPE))) or first.about.get("drew"):
        raise Failed(
            "generators with the same seed give different images, or torch's global generator is used as well: "
            f"calling {TRY} twice must give the same images. Every random number must come from generator"
        )
    if same(first.tensor(), different.tensor()):
        raise Failed("generators with different seeds give the same images: is a seed fixed inside the function?")
    one, two = (ask(probe, g, y, 2.0, 8, seed=i).tensor((2, *SHAPE)) for i in range(2))
    if same(one, two):
        raise Failed(
            "without a generator, every call gives the same images: torch.randn also accepts generator=None, so fix "
            "no seed"
        )


def alone(probe: Probe, rng: Generator) -> None:
    g, seed = draw(rng, SHAPE, spread=0.3, apart=0.2), Seeded(seed_of(rng))
    y = labels_of(rng, g, 4)
    changed = torch.cat([y[:3], y[:1]])
    one, two = (ask(probe, g, labels, 3.0, 8, seed).tensor((4, *SHAPE)) for labels in (y, changed))
    if not torch.allclose(one[:3], two[:3], atol=1e-5):
        raise Failed(
            "an image changes when the label of another image in the batch changes: compare the first image for the "
            "labels [3, 5] and [3, 7], with generators of the same seed"
        )


def device(probe: Probe, rng: Generator) -> None:
    g = draw(rng, SHAPE, spread=0.2, apart=0.1)
    args = (Thing("model"), Thing("schedule"), labels_of(rng, g, 2), SHAPE, 3.0, 4)
    keeps_device(probe, SAMPLE, *args, rename=NAMES, served=g.served(), seed=seed_of(rng))
