"""The prediction exercise's gate: the course's network learns the child's target, and denoises by its inverse."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from autograder.child.unconditional import Learner
from autograder.exercises.base import Probe, finite
from autograder.exercises.calls import call
from autograder.exercises.prediction.asking import ARGUMENTS, INVERSE, TARGET, schedule_of
from autograder.gate.harness import TRAINING, Denoise, Gate, Progress, Unconditional
from autograder.gate.learning import chunks
from autograder.gate.network import UNET, without_classes
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import derive_seed, stream


@dataclass(frozen=True)
class NetworkTowardsTarget(Unconditional):
    """The course's network, unconditional, trained in the parent.

    The child sees pixels, never images: in training the pixels of each image are shuffled, in sampling those of all
    images are mixed. This makes no difference to a function of single pixels, as both should be; to a network it does.
    """

    def learn(self, probe: Probe, seed: int, progress: Progress, shuffled: bool = False) -> Iterator[Denoise]:
        abar, run_seed = DiffusionSchedule.named().alphas_cumprod, derive_seed(seed, "train")
        given, mixing = schedule_of(abar), stream(seed, "pixels")
        learner = Learner(without_classes(self.network, run_seed % 2**31), self.train)

        def ask(name: str, a: Tensor, b: Tensor, t: Tensor, rows: int) -> Tensor:
            """The answer for a and b (B, 1, 8, 8) at t (B,), the pixels of each of `rows` parts of the batch mixed."""
            order = torch.rand(rows, a.numel() // rows, generator=mixing).argsort(1)
            mixed = [x.reshape(order.shape).gather(1, order).view(x.shape) for x in (a, b)]
            shape, names = tuple(a.shape), ARGUMENTS[name]
            out = call(probe, name, *mixed, t, given, rename=names).tensor(shape, torch.float32)
            return torch.empty_like(out.view(order.shape)).scatter_(1, order, out.view(order.shape)).view(shape)

        def target(x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
            return ask(TARGET, x0, eps, t, rows=len(t))

        def denoise(xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
            with torch.no_grad():
                output = learner.ema.module(xt, t)
            return finite(ask(INVERSE, output, xt, t, rows=1), "the trained network")  # t is the same for all images

        for steps, drawn in chunks(self, run_seed):
            finite(learner.learn(drawn, abar, target, lambda model, xt, t: model(xt, t)), "the training loss")
            progress(TRAINING * steps.stop / self.ends[-1])
            if steps.stop in self.ends:
                yield denoise


GATE = Gate(
    NetworkTowardsTarget(network=UNET, output="x0"),
    controls={
        "distance": ("constant", "inconsistent"),
        "heldout_loss": ("constant", "inconsistent", "ignores_time"),
        "copies": ("memoriser",),
    },
    sequential=NetworkTowardsTarget(
        network=UNET,
        output="x0",
        train={
            **{"steps": 900, "lr": 3e-3, "batch_size": 32, "warmup": 25},
            **{"ema_decay": 0.98, "weight_decay": 1e-4, "grad_clip": 1.0},
        },
        looks=(120, 200, 300, 450, 650, 900),
        **{"samples": 300, "batch": 300, "sample_steps": 10, "sampler": "dpm++"},
    ),
    # The held-out loss tells right from wrong. The distance does not: a correct design that predicts noise at some
    # levels and images at others denoises as well as any, but has good samples later than some controls.
    decisive={
        "distance": ("constant",),
        "heldout_loss": ("constant", "inconsistent", "ignores_time", "no_division", "variances"),
        "copies": ("memoriser",),
    },
    enough=450,
)
