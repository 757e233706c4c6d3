"""What the output must and must not depend on. Parameters are perturbed first: zero-initialised layers are fine."""

import torch
from torch import Generator

from autograder.exercises.architecture.asking import PERTURBED, environment, forward, images
from autograder.exercises.base import Failed, Probe, finite, relative_change, tensor
from autograder.exercises.calls import seed_of
from autograder.exercises.module import SAME, SEES, changes, mixed
from autograder.exercises.properties import REACHED

LEFT = tuple(f"torch's {what}" for what in ("default dtype", "gradient mode", "number of threads")) + tuple(
    environment()
)


def own_sample_only(probe: Probe, rng: Generator) -> None:
    a, other, keep = images(rng, 4), images(rng, 4), torch.arange(4) < 2
    batches = a, mixed(a, other, keep), mixed(a, other, ~keep)
    for training in (False, True):
        outs = forward(probe, rng, environment(), *batches, perturb=PERTURBED, training=training)
        if not (changes(*outs) <= SAME).all():
            raise Failed(
                "sample i depends on other samples of the batch: in a batch of 4, changing the images and timesteps "
                "of one half changed the output of the other. Look for a batch norm, a mean over the batch, "
                "timestep[0], or a reshape that mixes the batch with another axis"
            )


def sees_the_time(probe: Probe, rng: Generator) -> None:
    a = images(rng, 4)
    a["t"] = torch.randint(0, 300, (4,), generator=rng)
    early, late = forward(probe, rng, environment(), a, {**a, "t": a["t"] + 600}, perturb=PERTURBED)
    if (relative_change(early, late) < SEES).any():
        raise Failed(
            "the output does not depend on the timestep: the same images give the same result at an early and at a "
            "late timestep. Trace the timestep's embedding into the blocks"
        )


def sees_the_image(probe: Probe, rng: Generator) -> None:
    a, other = images(rng, 4), images(rng, 4)
    one, two = forward(probe, rng, environment(), a, {**other, "t": a["t"]}, perturb=PERTURBED)
    if (relative_change(one, two) < SEES).any():
        raise Failed(
            "the output does not depend on the image: two different images give the same result. Look for a layer "
            "that discards its input"
        )


def stays_finite(probe: Probe, rng: Generator) -> None:
    a = images(rng, 3)
    a["t"] = torch.tensor([0, 500, 999])
    for scale in (1.0, 1e3, 0.0):
        given = {**a, "x": a["x"] * scale}
        try:
            forward(probe, rng, environment(), given, perturb=PERTURBED)
        except Failed as e:
            raise Failed(f"{e} (images scaled by {scale:g}, timesteps 0, 500 and 999)") from e


def gradient_reaches(probe: Probe, rng: Generator) -> None:
    a = images(rng, 4, size=16)
    given = {**a, "weights": torch.randn(4, 1, 16, 16, generator=rng)}
    env, seed = environment(size=16), seed_of(rng)
    reply, out = probe.both("gradient", given, environment=env, seed=seed, perturb=PERTURBED)
    grad = finite(tensor(out, "grad", (4, 1, 16, 16), "the gradient"), "the gradient of the output")
    reached, total = reply.get("reached"), reply.get("parameters")
    if type(reached) is not int or type(total) is not int or total <= 0:
        raise Failed("the number of parameters could not be read")
    if reached < REACHED * total or (grad.abs().flatten(1).amax(1) == 0).any():
        raise Failed(
            f"gradient reaches {reached:,} of {total:,} parameters: look for .detach(), torch.no_grad(), "
            "requires_grad_(False), or a layer that is created but never used"
        )


def autocast(probe: Probe, rng: Generator) -> None:
    forward(probe, rng, environment(), images(rng, 2), autocast=True)


def deterministic(probe: Probe, rng: Generator) -> None:
    a = images(rng, 3)
    one, _, again = forward(probe, rng, environment(), a, images(rng, 3), a, perturb=PERTURBED)
    if (relative_change(one, again) > 1e-6).any():
        raise Failed(
            "two calls in eval mode with the same inputs give different outputs, with another call in between: look "
            "for randomness outside nn.Dropout, or state kept between calls"
        )


def no_global_state(probe: Probe, rng: Generator) -> None:
    a, seed = images(rng, 3), seed_of(rng)
    (alone,) = forward(probe, rng, environment(), a, seed=seed, perturb=PERTURBED)
    (beside,) = forward(probe, rng, environment(), a, seed=seed, perturb=PERTURBED, other=True)
    if (relative_change(alone, beside) > 1e-6).any():
        raise Failed(
            "building a second network changes the first one: create every layer inside build_model, and keep none in "
            "a global variable"
        )
    reply, _ = probe.both("parameters", environment=environment(), seed=seed)
    if reply.get("left"):
        named = [name for name in LEFT if name in reply["left"]]
        raise Failed(
            f"build_model changes {', '.join(named) or 'a setting'} for the whole process: it should only build the "
            "network"
        )
