"""Do images on the way hold the noise of their timestep, around a picture that is known?"""

from torch import Tensor

Shown = list[tuple[int, Tensor]]  # a timestep, and images (N, C, H, W) that the model was shown there


def at_its_level(x: Tensor, picture: Tensor, abar: Tensor) -> bool:
    """Are images x (N, C, H, W) sqrt(abar)·picture + sqrt(1 - abar)·noise, with standard normal noise?

    Meant for some 1,000 different numbers: with fewer the noise of a right answer may miss these limits.
    """
    noise = (x.double() - abar.double().sqrt() * picture) / (1 - abar.double()).sqrt()
    return bool(0.85 < noise.std() < 1.15 and (noise * picture.sign()).mean().abs() <= 0.18)


def one_picture_all_the_way(shown: Shown, picture: Tensor, abar: Tensor) -> bool:
    """Do the images belong to the clamped picture all the way, or, for a sampler that does not clamp, to the picture?

    Where x0 is clamped and the noise kept that was derived before, they belong to neither.
    """
    return any(all(at_its_level(x, p, abar[t]) for t, x in shown) for p in (picture.clamp(-1, 1), picture))


STALE = (
    "after x_0 is clamped, the noise is still the one from before: the two no longer make up the same x_t. Derive it "
    "anew from the clamped x_0 in every step, and let the step use it"
)
