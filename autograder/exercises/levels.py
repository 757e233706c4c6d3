"""Do intermediate images carry the noise of their timestep, around a known picture?"""

from torch import Tensor

Shown = list[tuple[int, Tensor]]  # a timestep, and the images (N, C, H, W) that the model was given there


def at_its_level(x: Tensor, picture: Tensor, abar: Tensor) -> bool:
    """Are images x (N, C, H, W) sqrt(abar)·picture + sqrt(1 - abar)·noise, with standard normal noise?

    Meant for about 1,000 different numbers: with fewer, the noise of a right answer can miss these limits.
    """
    noise = (x.double() - abar.double().sqrt() * picture) / (1 - abar.double()).sqrt()
    return bool(0.85 < noise.std() < 1.15 and (noise * picture.sign()).mean().abs() <= 0.18)


def one_picture_all_the_way(shown: Shown, picture: Tensor, abar: Tensor) -> bool:
    """Do all the images belong to the clamped picture, or, for a sampler that does not clamp, to the picture itself?

    If x0 is clamped but the old noise is kept, they belong to neither.
    """
    return any(all(at_its_level(x, p, abar[t]) for t, x in shown) for p in (picture.clamp(-1, 1), picture))


STALE = (
    "after x_0 is clamped, the step still uses the old noise: the two no longer add up to x_t. In every step, "
    "recompute the noise from x_t and the clamped x_0, and use it in the step"
)
