"""Checks of `interpolate_classes`: a row of images from one noise, whatever the sampler."""

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
    """How much of each picture (M, ...) there is in each image (N, ...), by least squares: (N, M)."""
    return torch.linalg.lstsq(pictures.flatten(1).T, images.flatten(1).T).solution.T


def besides(images: Tensor, pictures: Tensor) -> Tensor:
    """What is in the images (N, ...) besides the pictures (M, ...), whatever their shares: (N, C·H·W)."""
    return images.flatten(1) - shares(images, pictures) @ pictures.flatten(1)


def ends(probe: Probe, rng: Generator) -> None:
    w, (a, b) = world(rng, null=False), two(rng)
    out, _ = ask(probe, w, (a, b), 5, seed_of(rng), guidance_scale=1.5)
    wanted = w.picture(w.table[[a, b]])
    for image, picture, what in zip(out[[0, -1]], wanted, ("first image is not class_a", "last image is not class_b")):
        if not is_along(image, picture):
            draw = f"draw {ROW}(model, schedule, 1, 7, 3, (1, 8, 8)) with the course's digits: a clean 1 and a clean 7"
            if not besides(image[None], wanted)[0].abs().max() > 0.03 * image.abs().max():
                raise Failed(
                    f"the {what}'s, but a clean one of the two classes in other shares: alpha must be 0 for the first "
                    f"image and 1 for the last one; print it for num_interp = 3. To see it, {draw} at the ends"
                )
            raise Failed(
                f"the {what}'s: {draw} at the ends. Noise that is left means that the last step does not reach abar = "
                "1, or that a timestep and its abar do not belong together"
            )


def even(probe: Probe, rng: Generator) -> None:
    for count in (5, 4):
        w, (a, b) = world(rng, null=False), two(rng)
        out, _ = ask(probe, w, (a, b), count, seed_of(rng), guidance_scale=1.5)
        flat, alphas = out.flatten(1), torch.linspace(0, 1, count, dtype=torch.float64)
        # The pictures are linear in the embedding, so the shares of a and b in an embedding show in its picture.
        basis = torch.stack([flat[0], flat[-1]])  # (2, C·H·W)
        straight = torch.stack([1 - alphas, alphas], 1)  # (N, 2)
        curved = torch.linalg.lstsq(w.table[[a, b]].double().T, arc(w.table[a], w.table[b], alphas).T).solution.T
        apart = min(float((flat - shares @ basis).abs().max()) for shares in (straight, curved))
        if apart > 0.03 * float(basis.abs().max()) or torch.allclose(basis[0], basis[1], atol=1e-3):
            raise Failed(
                "the images between the ends do not belong to embeddings at even steps from class_a's to class_b's: "
                "for 5 images alpha is 0, 0.25, 0.5, 0.75 and 1, one embedding for each image, fed to "
                "model.forward_with_cond in place of a class's"
            )


def one_noise(probe: Probe, rng: Generator) -> None:
    w, (a, _) = world(rng, spread=0.3), two(rng)
    out, _ = ask(probe, w, (a, a), 4, seed_of(rng), guidance_scale=1.0)
    if (out - out[:1]).abs().max() > 1e-3:
        raise Failed(
            "the images of a row do not start from one noise: with class_a = class_b, all images of the row must be "
            "the same. Draw one torch.randn((1, C, H, W), generator=generator) and repeat it; a sampler that adds "
            "noise on the way must add the same to all of them"
        )


def noise_of_the_generator(probe: Probe, rng: Generator) -> None:
    w, (a, _) = world(rng, spread=0.3, shape=(3, 16, 16)), two(rng)
    one, other = seed_of(rng), seed_of(rng)
    asked = {"guidance_scale": 1.0, "num_steps": 25}
    out, again, differs = (ask(probe, w, (a, a), 1, seed, seed=seed_of(rng), **asked)[0] for seed in (one, one, other))
    if (out - again).abs().max() > 1e-5:
        raise Failed(
            "the same generator seed gives another row: the noise must come from `generator` alone. Call it twice with "
            "generator=torch.Generator().manual_seed(0)"
        )
    if (out - differs).abs().max() < 1e-2:
        raise Failed("another generator seed gives the same row: pass generator=generator to torch.randn")
    noise = torch.cat([out, differs]) - w.picture(w.table[[a]])  # (2, 3, 16, 16), near 0.3 · standard normal
    flat = (noise / 0.3).flatten(2).flatten(0, 1)  # (6, 256)
    if not 0.6 < flat.std() < 1.5 or flat.mean().abs() > 0.2 or flat.abs().max() < 2.2 * flat.std():
        raise Failed("the initial noise is not standard normal: look at its mean and standard deviation, 0 and 1")
    if torch.corrcoef(flat).fill_diagonal_(0).abs().max() > 0.5:
        raise Failed("the channels share one noise: draw it with the shape (1, C, H, W)")


def guided_by(scale: float, images: Tensor, w: World, classes: tuple[int, int]) -> bool:
    """Are the images those of null + scale·(picture - null), with a picture on any way between the two classes?

    Which way it is, and how far, is judged elsewhere: on a line the shares of the two add up to 1, on an arc to more.
    """
    without = images - (1 - scale) * w.picture(w.table[-1:])  # scale · picture
    if scale == 0:
        return bool(without.abs().max() <= 0.01)
    pictures = w.picture(w.table[list(classes)])
    sums = shares(without, pictures).sum(1) / scale
    return bool(besides(without, pictures).abs().max() <= 0.01 and sums.min() > 0.9 and sums.max() < 1.6)


def guidance(probe: Probe, rng: Generator) -> None:
    for scale in (2.5, 0.0, 1.0):
        w, classes = world(rng), two(rng)
        out, _ = ask(probe, w, classes, 3, seed_of(rng), guidance_scale=scale)
        if not guided_by(scale, out[[0, -1]], w, classes):
            raise Failed(
                "guidance is not eps_u + w * (eps_c - eps_u), w = guidance_scale, with the null class's embedding (its "
                "label is model.null_class) for eps_u: look at w = 0, which is the null class alone, and at w = 1, the "
                "class alone"
            )


def defaults(probe: Probe, rng: Generator) -> None:
    w, classes = world(rng), two(rng)
    out, about = ask(probe, w, classes, 2, seed_of(rng), num_steps=None)
    if not guided_by(4, out, w, classes) or len(about.get("times") or ()) != 50:
        raise Failed(
            "without guidance_scale and num_steps, the row is not that of w = 4 and 50 steps: give both their defaults "
            "in the signature, and use them"
        )


def one_image(probe: Probe, rng: Generator) -> None:
    w, (a, b) = world(rng, null=False), two(rng)
    out, _ = ask(probe, w, (a, b), 1, seed_of(rng), guidance_scale=1.5)
    if not is_along(out[0], w.picture(w.table[[a]])):
        raise Failed("a row of one image is not class_a's: look at the alpha of num_interp = 1, which should be 0")


def timesteps(probe: Probe, rng: Generator) -> None:
    for steps in (STEPS, 20):
        w = world(rng)
        times = ask(probe, w, two(rng), 2, seed_of(rng), num_steps=steps)[1].get("times")
        if not isinstance(times, list) or len(times) != steps or times[-1] != len(w.abar) - 1:
            raise Failed(
                "the model is not asked at num_steps different timesteps, the first of which is T - 1: print t in a "
                "call with num_steps=5; T is schedule.timesteps, not always 1000"
            )


def in_range(probe: Probe, rng: Generator) -> None:
    w = world(rng, size=3.0)
    out, _ = ask(probe, w, two(rng), 3, seed_of(rng), guidance_scale=3.0)
    if out.abs().max() > 1 + 1e-4:
        raise Failed(
            "the images leave [-1, 1]: clamp x0 in every step (and derive the noise anew), as in ddim_step; look at "
            "images.abs().max() with guidance_scale=10"
        )


def rederives(probe: Probe, rng: Generator) -> None:
    for steps in (STEPS, 25):
        w, (a, _) = world(rng, size=3.0, shape=(3, 16, 16)), two(rng)
        row = asked(probe, w, (a, a), 2, seed_of(rng), guidance_scale=4.0, num_steps=steps)
        row.tensor((2, *w.shape))
        null, picture = w.picture(w.table[[-1, a]])
        if not one_picture_all_the_way(shown(row, w), null + 4 * (picture - null), w.abar):
            raise Failed(f"{STALE}, as in ddim_step; with guidance_scale=10 x_0 is clamped in most steps")


def device(probe: Probe, rng: Generator) -> None:
    w = world(rng)
    given = {"num_steps": 3, "besides": w.tensors}
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
