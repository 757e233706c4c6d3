"""How the answers of the gated exercises are trained; each run returns what denoises.

Where the network is the course's own, it learns and denoises in the parent. The child supplies only what the exercise
asks for, and sees nothing that would let it do another network's work in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autograder.child.unconditional import Learner
from autograder.exercises import prediction
from autograder.exercises.base import Failed, Probe, finite, tensor
from autograder.exercises.calls import call
from autograder.exercises.conditioner import UNET
from autograder.gate.remote_modules import with_pair, without_classes
from ddpm_core.data import digits
from ddpm_core.diffusion import Diffusion
from ddpm_core.parameterization import EPSILON
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import derive_seed, stream
from ddpm_core.training import TrainConfig, TrainState, batches, lr_at, train

if TYPE_CHECKING:
    from autograder.gate.harness import Harness, Unconditional

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]  # (xt, t, y) -> eps, or x0 where the harness says so
Progress = Callable[[float], None]
SHARE = 0.8  # of the time; the rest is sampling


def learn_pair(probe: Probe, harness: Harness, seed: int, shuffled: bool, progress: Progress) -> Denoise:
    """The course's conditional training loop on its own network, with the child's pair plugged in."""
    data, run_seed = digits("train"), derive_seed(seed, "train")
    if shuffled:  # the control: right code, wrong labels
        order = torch.randperm(len(data.labels), generator=stream(seed, "shuffle"))
        data = replace(data, labels=data.labels[order])
    config = TrainConfig(**harness.train, seed=run_seed)
    diffusion = Diffusion(with_pair(probe, UNET, run_seed % 2**31), DiffusionSchedule.named(), EPSILON)
    state = TrainState.start(diffusion, config)
    try:
        for step in train(state, data, config):
            if step.step % harness.chunk == 0 or step.step == config.steps:
                finite(step.loss, "the training loss")
                progress(SHARE * step.step / config.steps)
    except FloatingPointError as e:
        raise Failed(str(e)) from e

    def denoise(xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            return finite(state.ema.module(xt, t, y), "the trained network")

    return denoise


def chunks(harness: Unconditional, seed: int) -> Iterator[tuple[range, dict[str, Tensor]]]:
    """The steps of an unconditional training, some at a time: x0, eps (n, B, 1, 8, 8), t (n, B), lr (n,)."""
    schedule, config = DiffusionSchedule.named(), TrainConfig(**harness.train, seed=seed)
    drawn = batches(digits("train"), config)
    for done in range(0, config.steps, harness.chunk):
        steps = range(done, min(done + harness.chunk, config.steps))
        x0 = torch.stack([next(drawn)[0] for _ in steps])
        eps = [torch.randn(x0.shape[1:], generator=stream(seed, "noise", i)) for i in steps]
        t = [torch.randint(schedule.timesteps, (config.batch_size,), generator=stream(seed, "t", i)) for i in steps]
        lr = torch.tensor([lr_at(i, config) for i in steps], dtype=torch.float64)
        yield steps, {"x0": x0, "eps": torch.stack(eps), "t": torch.stack(t), "lr": lr}


def learn_trunk(probe: Probe, harness: Unconditional, seed: int, progress: Progress) -> Denoise:
    """The course's network, unconditional, towards the child's target; it denoises to x0 by the child's inverse.

    The child sees pixels, never images: in training those of an image in an order of their own, in sampling those of
    all images mixed. What works on each pixel alone, as both functions should, notices nothing; a network would.
    """
    abar, run_seed = DiffusionSchedule.named().alphas_cumprod, derive_seed(seed, "train")
    given, mixing = prediction.schedule_of(abar), stream(seed, "pixels")
    learner = Learner(without_classes(harness.network, run_seed % 2**31), harness.train)

    def ask(name: str, a: Tensor, b: Tensor, t: Tensor, rows: int) -> Tensor:
        """The answer for a and b (B, 1, 8, 8) at t (B,), the pixels of each of `rows` parts of the batch mixed."""
        order = torch.rand(rows, a.numel() // rows, generator=mixing).argsort(1)
        mixed = [x.reshape(order.shape).gather(1, order).view(x.shape) for x in (a, b)]
        shape, names = tuple(a.shape), prediction.ARGUMENTS[name]
        out = call(probe, name, *mixed, t, given, rename=names).tensor(shape, torch.float32)
        return torch.empty_like(out.view(order.shape)).scatter_(1, order, out.view(order.shape)).view(shape)

    def target(x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        return ask(prediction.TARGET, x0, eps, t, rows=len(t))

    for steps, drawn in chunks(harness, run_seed):
        finite(learner.learn(drawn, abar, target, lambda model, xt, t: model(xt, t)), "the training loss")
        progress(SHARE * (steps[-1] + 1) / harness.train["steps"])

    def denoise(xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            output = learner.ema.module(xt, t)
        return finite(ask(prediction.INVERSE, output, xt, t, rows=1), "the trained network")  # t is the same for all

    return denoise


def learn_in_child(probe: Probe, harness: Unconditional, seed: int, progress: Progress) -> Denoise:
    """The answer's own network, which learns and denoises in the child; Failed where its loss is not finite."""
    abar, run_seed = DiffusionSchedule.named().alphas_cumprod, derive_seed(seed, "train")
    start = {"network": harness.network, "seed": run_seed % 2**31, "train": harness.train}
    probe("start_training", {"alphas_cumprod": abar}, **start)
    for steps, drawn in chunks(harness, run_seed):
        out = probe("training_steps", drawn)
        finite(tensor(out, "losses", (len(steps),), "the training loss"), "the training loss")
        progress(SHARE * (steps[-1] + 1) / harness.train["steps"])

    def denoise(xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
        out = tensor(probe("denoise", {"xt": xt, "t": t}), "out", tuple(xt.shape), "the trained network's output")
        return finite(out, "the trained network")

    return denoise
