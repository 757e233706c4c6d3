"""Checks of `sample_conditional` on the way: the noise in the images given to the model, and its effect."""

from collections.abc import Iterator

from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import Seeded, seed_of
from autograder.exercises.guided_sampling.gaussians import Gaussians, draw, labels_of
from autograder.exercises.guided_sampling.sampling import EXACT, ask, shown_at, times_of
from autograder.exercises.levels import STALE, Shown, at_its_level, one_picture_all_the_way


def on_the_way(probe: Probe, rng: Generator, w: float) -> Iterator[tuple[Gaussians, Tensor, Shown]]:
    """A world of one image per class, the image that guidance leads to, and what the model is given at which timestep.

    All images are of one class, so the order of images and halves does not matter.
    """
    shape, images = (3, 8, 8), 8  # 1,536 different numbers
    g = draw(rng, shape, spread=0.0, apart=0.6)
    y = labels_of(rng, g, 1).repeat(images)
    for count in (len(g.abar), 11):
        returned = ask(probe, g, y, w, count, Seeded(seed_of(rng)), shape=shape)
        found = [(t, shown_at(returned, t)) for t in times_of(returned).unique().tolist()]
        # fewer if the answer used some at other timesteps
        yield g, g.centre(y[:1], w)[0], [(t, x) for t, x in found if len(x) >= images]


def levels(probe: Probe, rng: Generator) -> None:
    for g, picture, found in on_the_way(probe, rng, 1.0):
        if not all(at_its_level(x, picture, g.abar[t]) for t, x in found):
            raise Failed(
                "during sampling, the images given to the model do not contain noise of variance 1 - abar[t]: "
                f"{EXACT}. Print ((x - a(t).sqrt() * picture(y)) / (1 - a(t)).sqrt()).std() at every call; it should "
                "stay near 1"
            )


def rederives(probe: Probe, rng: Generator) -> None:
    for g, picture, found in on_the_way(probe, rng, 6.0):  # far outside [-1, 1]
        if not one_picture_all_the_way(found, picture, g.abar):
            raise Failed(f"{STALE}. To see it, {EXACT}, and set guidance_scale=10, which drives x_0 out of [-1, 1]")


def varies(probe: Probe, rng: Generator) -> None:
    shape, images, spread = (3, 8, 8), 8, 0.2  # 1,536 numbers, nearly all within [-1, 1]
    g = draw(rng, shape, spread=spread, apart=0.1)
    y = labels_of(rng, g, images)
    out = ask(probe, g, y, 1.0, len(g.abar), Seeded(seed_of(rng)), shape=shape).tensor((images, *shape))
    share = float((finite(out, "the result") - g.mean[y]).std()) / spread
    if not 0.75 < share < 1.25:  # right samplers: 0.9 to 1.01
        raise Failed(
            "the samples of a class do not vary as much as its images: with as many steps as timesteps, the two "
            "spreads should match. Does each step keep the noise of x_t, with the right sign and scale, and not some "
            "other noise?"
        )
