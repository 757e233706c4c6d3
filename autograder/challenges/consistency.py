"""Checks of the prediction track: the two functions must be inverses, whatever they predict.

The exercise asks for the velocity and reports which term is wrong. Here any target from which the image can be
recovered is correct. So the checks only test this, at many timesteps of both schedules, and that pixels and images are
independent.
"""

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Check, Failed, Probe, finite
from autograder.exercises.prediction.asking import INVERSE, TARGET, TOLERANCE, asked, levels, pictures
from autograder.exercises.prediction.both import contract, device, precision, repeats
from ddpm_core.schedule import DiffusionSchedule

STEPS = 1000
TIMES = (0, 1, 2, 5, 10, 20, *range(50, 1000, 50), 990, 998, 999)
SHAPE = (1, 6, 5)  # no two sizes alike, so that a wrong broadcast shows


def drawn(rng: Generator, t: Tensor, abar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draw x0, eps and xt (B, 1, 6, 5) in float64, for timesteps t (B,)."""
    x0, eps = pictures(rng, (len(t), *SHAPE)), torch.randn(len(t), *SHAPE, generator=rng).double()
    r, s = levels(abar, t)
    return x0, eps, r * x0 + s * eps


def consistent(probe: Probe, rng: Generator) -> None:
    """Check that the image is recovered from its own target; Failed names the first timestep at which it is not."""
    for name in ("cosine", "linear"):
        abar = DiffusionSchedule.named(name, STEPS, torch.float64).alphas_cumprod
        t = torch.tensor(TIMES)[torch.randperm(len(TIMES), generator=rng)]  # (B,): no order to rely on
        x0, eps, xt = drawn(rng, t, abar)
        shape = tuple(x0.shape)
        target = finite(asked(probe, TARGET, x0, eps, t, abar).tensor(shape), "the target")
        back = asked(probe, INVERSE, target.double(), xt, t, abar).tensor(shape).double()
        # float32 rounding: predicting the noise divides by sqrt(abar), and the loss of precision is not an error
        allowed = TOLERANCE + 4e-6 / abar[t].sqrt()  # (B,)
        off = (back - x0).abs().flatten(1).amax(1).nan_to_num(nan=torch.inf)  # (B,)
        if (off > allowed).any():
            wrong = t.masked_fill(off <= allowed, STEPS).sort().values
            i = int((t == wrong[0]).nonzero())
            count = int((off > allowed).sum())
            raise Failed(
                f"the pair is not consistent: at t = {int(t[i])} of {STEPS} ({name} betas, abar = {abar[t[i]]:.5g}) "
                f"predict_x0 does not give the image back from the result of compute_training_target: it is off by "
                f"{off[i]:.2g}, where rounding explains {allowed[i]:.1g}. It is off at {count} of {len(t)} timesteps "
                "tried. Solve your target and x_t = sqrt(abar)·x_0 + sqrt(1 - abar)·noise for x_0"
            )


def alone(name: str):
    """Return a check that each pixel and image is independent of the others, so that no pair can replace a network."""

    def check(probe: Probe, rng: Generator) -> None:
        abar = DiffusionSchedule.named("cosine", STEPS, torch.float64).alphas_cumprod
        t = torch.tensor([30, 400, 800])
        a, b, _ = drawn(rng, t, abar)
        whole = asked(probe, name, a, b, t, abar).tensor(tuple(a.shape))
        order = torch.randperm(a[0].numel(), generator=rng)
        mixed = [x.flatten(1)[:, order].view_as(x) for x in (a, b)]
        out = asked(probe, name, *mixed, t, abar).tensor(tuple(a.shape))
        if not torch.allclose(out, whole.flatten(1)[:, order].view_as(whole), rtol=1e-4, atol=1e-5):
            raise Failed(
                f"{name} does not work on each pixel alone: if the pixels are reordered, the result is not reordered "
                "in the same way. Use elementwise arithmetic only; anything that needs neighbours belongs in a network"
            )
        for i in range(len(t)):
            one = asked(probe, name, a[i : i + 1], b[i : i + 1], t[i : i + 1], abar).tensor((1, *SHAPE))
            if not torch.allclose(one, whole[i : i + 1], rtol=1e-4, atol=1e-5):
                raise Failed(
                    f"{name} gives an image a different result in a batch than alone: with timesteps 30, 400 and 800, "
                    f"image {i} differs. Each image has its own timestep and must not affect the others"
                )

    return check


CHECKS = (
    *(Check(f"{name}: keeps its contract", 1.0, contract(name), fatal=True) for name in (TARGET, INVERSE)),
    *(Check(f"{name}: depends on its arguments alone", 1.0, repeats(name), fatal=True) for name in (TARGET, INVERSE)),
    Check("the pair is consistent", 1.0, consistent, fatal=True),
    *(Check(f"{name}: pixels and images alone", 1.0, alone(name), fatal=True) for name in (TARGET, INVERSE)),
    *(Check(f"{name}: keeps the images' precision", 1.0, precision(name)) for name in (TARGET, INVERSE)),
    *(Check(f"{name}: keeps the device", 1.0, device(name)) for name in (TARGET, INVERSE)),
)
