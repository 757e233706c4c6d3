"""Checks of `interpolate_classes`: a row of images from one noise, with any sampler."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from autograder.exercises.base import Failed, Probe, check_of
from autograder.exercises.calls import Seeded, keeps_device, seed_of
from autograder.exercises.interpolation.world import ROW, STEPS, THINGS, World, arc, ask, asked, shown, two, world
from autograder.exercises.levels import STALE, one_picture_all_the_way

LESSON = "lesson 5.3, “Class interpolation”"


def contract(probe: Probe, rng: Generator) -> None:
    for count, shape in ((3, (1, 8, 8)), (6, (3, 6, 7))):
        w = world(rng, spread=0.2, shape=shape)
        ask(probe, w, two(rng), count, seed_of(rng), guidance_scale=2.0)
    ask(probe, w, two(rng), 2, None)


def is_along(image: Tensor, picture: Tensor) -> bool:
    """Is the image a positive multiple of the picture?"""
    return float(F.cosine_similarity(image.flatten(), picture.flatten(), dim=0)) > 0.999


def shares(images: Tensor, pictures: Tensor) -> Tensor:
    """How much of each picture (M, ...) is in each image (N, ...), by least squares: (N, M)."""
    return torch.linalg.lstsq(pictures.flatten(1).T, images.flatten(1).T).solution.T


def besides(images: Tensor, pictures: Tensor) -> Tensor:
    """What is left of the images (N, ...) after removing the pictures (M, ...), whatever their shares: (N, C·H·W)."""
    return images.flatten(1) - shares(images, pictures) @ pictures.flatten(1)


def ends(probe: Probe, rng: Generator) -> None:
    w, (a, b) = world(rng, null=False, turns=True), two(rng)
    out, _ = ask(probe, w, (a, b), 5, seed_of(rng), guidance_scale=1.5)
    wanted = w.picture(w.table[[a, b]])
    for image, picture, what in zip(out[[0, -1]], wanted, ("first image is not class_a", "last image is not class_b")):
        if not is_along(image, picture):
            draw = (
                f"draw {ROW}(model, schedule, 1, 7, 3, (1, 8, 8)) with the course's digits, and look for a clean 1 "
                "and a clean 7"
            )
            if not besides(image[None], wanted)[0].abs().max() > 0.03 * image.abs().max():
                raise Failed(
                    f"the {what}'s, but a clean mixture of the two classes: alpha must be 0 for the first image and 1 "
                    f"for the last, so print it for num_interp = 3. To see the images, {draw} at the ends"
                )
            raise Failed(
                f"the {what}'s: {draw} at the ends. Remaining noise means that the last step does not reach abar = 1, "
                "or that a timestep is paired with the wrong abar"
            )


def even(probe: Probe, rng: Generator) -> None:
    for count in (5, 4):
        w, (a, b) = world(rng, null=False, turns=True), two(rng)
        out, _ = ask(probe, w, (a, b), count, seed_of(rng), guidance_scale=1.5)
        flat, alphas = out.flatten(1), torch.linspace(0, 1, count, dtype=torch.float64)
        # The pictures are linear in the embedding, so the shares of a and b in an embedding show in its picture.
        basis = torch.stack([flat[0], flat[-1]])  # (2, C·H·W)
        straight = torch.stack([1 - alphas, alphas], 1)  # (N, 2)
        curved = torch.linalg.lstsq(w.table[[a, b]].double().T, arc(w.table[a], w.table[b], alphas).T).solution.T
        apart = min(float((flat - shares @ basis).abs().max()) for shares in (straight, curved))
        if apart > 0.03 * float(basis.abs().max()) or torch.allclose(basis[0], basis[1], atol=1e-3):
            raise Failed(
                "the embeddings of the images in between are not evenly spaced from class_a's to class_b's: for 5 "
                "images, alpha is 0, 0.25, 0.5, 0.75 and 1. Each image has its own embedding, passed to "
                "model.forward_with_cond instead of a class's"
            )


def one_noise(probe: Probe, rng: Generator) -> None:
    w, (a, _) = world(rng, spread=0.3), two(rng)
    out, _ = ask(probe, w, (a, a), 4, seed_of(rng), guidance_scale=1.0)
    if (out - out[:1]).abs().max() > 1e-3:
        raise Failed(
            "the images of a row do not start from the same noise: with class_a = class_b, all images of the row must "
            "be equal. Draw one torch.randn((1, C, H, W), generator=generator) and repeat it. A sampler that adds "
            "noise must add the same noise to all images"
        )


def noise_of_the_generator(probe: Probe, rng: Generator) -> None:
    w, (a, _) = world(rng, spread=0.3, shape=(3, 16, 16)), two(rng)
    one, other = seed_of(rng), seed_of(rng)
    asked = {"guidance_scale": 1.0, "num_steps": 25}
    out, again, differs = (ask(probe, w, (a, a), 1, seed, seed=seed_of(rng), **asked)[0] for seed in (one, one, other))
    if (out - again).abs().max() > 1e-5:
        raise Failed(
            "the same generator seed gives different rows: the noise must come only from `generator`. Call it twice "
            "with generator=torch.Generator().manual_seed(0) and compare"
        )
    if (out - differs).abs().max() < 1e-2:
        raise Failed("different generator seeds give the same row: pass generator=generator to torch.randn")
    noise = torch.cat([out, differs]) - w.picture(w.table[[a]])  # (2, 3, 16, 16), near 0.3 · standard normal
    flat = (noise / 0.3).flatten(2).flatten(0, 1)  # (6, 256)
    if not 0.6 < flat.std() < 1.5 or flat.mean().abs() > 0.2 or flat.abs().max() < 2.2 * flat.std():
        raise Failed("the initial noise is not standard normal: its mean should be 0 and its standard deviation 1")
    if torch.corrcoef(flat).fill_diagonal_(0).abs().max() > 0.5:
        raise Failed("the channels share the same noise: draw it with the shape (1, C, H, W)")


def guided_by(scale: float, images: Tensor, w: World, classes: tuple[int, int]) -> bool:
    """Are the images null + scale·(picture - null), with a picture on some path between the two classes?

    Which path, and how far along it, other checks judge: on a line the two shares add up to 1, on an arc to more.
    """
    without = images - (1 - scale) * w.picture(w.table[-1:])  # scale · picture
    if scale == 0:
        return bool(without.abs().max() <= 0.01)
    pictures = w.picture(w.table[list(classes)])
    sums = shares(without, pictures).sum(1) / scale
    return bool(besides(without, pictures).abs().max() <= 0.01 and sums.min() > 0.9 and sums.max() < 1.6)


def guidance(probe: Probe, rng: Generator) -> None:
    for scale in (2.5, 0.0, 1.0):
        w, classes = world(rng, turns=True), two(rng)
        out, _ = ask(probe, w, classes, 3, seed_of(rng), guidance_scale=scale)
        if not guided_by(scale, out[[0, -1]], w, classes):
            raise Failed(
                "guidance is not eps_u + w * (eps_c - eps_u) with w = guidance_scale: get eps_u from the embedding of "
                "the null class, whose label is model.null_class. Check w = 0, which must give the null class alone, "
                "and w = 1, the class alone"
            )


def defaults(probe: Probe, rng: Generator) -> None:
    w, classes = world(rng), two(rng)
    out, times = ask(probe, w, classes, 2, seed_of(rng), num_steps=None)
    if not guided_by(4, out, w, classes) or len(times) != 50:
        raise Failed(
            "without guidance_scale and num_steps, the row is not that of w = 4 and 50 steps: set both defaults in "
            "the signature, and use the arguments"
        )


def one_image(probe: Probe, rng: Generator) -> None:
    w, (a, b) = world(rng, null=False, turns=True), two(rng)
    out, _ = ask(probe, w, (a, b), 1, seed_of(rng), guidance_scale=1.5)
    if not is_along(out[0], w.picture(w.table[[a]])):
        raise Failed("a row of one image is not class_a's: with num_interp = 1, alpha should be 0")


def timesteps(probe: Probe, rng: Generator) -> None:
    for steps in (STEPS, 20):
        w = world(rng)
        _, times = ask(probe, w, two(rng), 2, seed_of(rng), num_steps=steps)
        if len(times) != steps or times[-1] != len(w.abar) - 1:
            raise Failed(
                "the model is not called at num_steps different timesteps starting from T - 1: print t in a call with "
                "num_steps=5. T is schedule.timesteps, not always 1000"
            )


def in_range(probe: Probe, rng: Generator) -> None:
    w = world(rng, size=3.0)
    out, _ = ask(probe, w, two(rng), 3, seed_of(rng), guidance_scale=3.0)
    if out.abs().max() > 1 + 1e-4:
        raise Failed(
            "the images leave [-1, 1]: in every step, clamp x0 and recompute the noise, as in ddim_step. Look at "
            "images.abs().max() with guidance_scale=10"
        )


def rederives(probe: Probe, rng: Generator) -> None:
    for steps in (STEPS, 25):
        w, (a, _) = world(rng, size=3.0, shape=(3, 16, 16)), two(rng)
        row = asked(probe, w, (a, a), 2, seed_of(rng), guidance_scale=4.0, num_steps=steps)
        row.tensor((2, *w.shape))
        null, picture = w.picture(w.table[[-1, a]])
        if not one_picture_all_the_way(shown(row), null + 4 * (picture - null), w.abar):
            raise Failed(f"{STALE}, as in ddim_step. With guidance_scale=10, x_0 is clamped in most steps")


def device(probe: Probe, rng: Generator) -> None:
    w = world(rng)
    given = {"num_steps": 3, "served": w.served()}
    keeps_device(probe, ROW, *THINGS, *two(rng), 3, w.shape, generator=Seeded(seed_of(rng)), **given)


check = partial(check_of, ROW, LESSON)
CHECKS = (
    check("keeps its contract", 0.25, contract),
    check("from class_a to class_b", 0.5, ends),
    check("even steps in between", 0.5, even),
    check("one noise for the whole row", 0.75, one_noise),
    check("the noise is normal, and the generator's", 0.5, noise_of_the_generator),
    check("guidance", 0.75, guidance),
    check("the defaults", 0.25, defaults),
    check("a row of one", 0.25, one_image),
    check("num_steps timesteps, from T - 1 on", 0.25, timesteps),
    check("images in [-1, 1]", 0.25, in_range),
    check("the noise agrees with the clamped x_0", 0.5, rederives),
    check("keeps the device", 0.25, device),
)
