"""Trains an answer in one of two ways: as part of the course's network, or as a whole network.

The course's own network learns and denoises in the parent. The child supplies only what the exercise asks for, and sees
nothing that would let it put another network in its place. If the whole network is the answer's, the child only records
what it computes, and has ended before the training starts.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from autograder.exercises.base import OWN, Failed, Probe, finite, relative_change, tensor
from autograder.exercises.module import SAME
from autograder.gate.harness import TRAINING, Denoise, Harness, Progress, Unconditional
from autograder.gate.network import UNET
from autograder.gate.remote_modules import with_pair
from autograder.sandbox.limits import Failure
from ddpm_core.data import digits
from ddpm_core.diffusion import Diffusion
from ddpm_core.parameterization import EPSILON
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import derive_seed, stream
from ddpm_core.training import TrainConfig, TrainState, batches, lr_at, train


@dataclass(frozen=True)
class PairInNetwork(Harness):
    """The course's conditional training loop on its own network, with the child's pair plugged in."""

    unet: dict = field(default_factory=lambda: UNET)

    def learn(self, probe: Probe, seed: int, progress: Progress, shuffled: bool = False) -> Iterator[Denoise]:
        data, run_seed = digits("train"), derive_seed(seed, "train")
        if shuffled:  # the control: right code, wrong labels
            order = torch.randperm(len(data.labels), generator=stream(seed, "shuffle"))
            data = replace(data, labels=data.labels[order])
        config = TrainConfig(**self.train, seed=run_seed)
        diffusion = Diffusion(with_pair(probe, self.unet, run_seed % 2**31), DiffusionSchedule.named(), EPSILON)
        state = TrainState.start(diffusion, config)

        def denoise(xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
            with torch.no_grad():
                return finite(state.ema.module(xt, t, y), "the trained network")

        try:
            for step in train(state, data, config):
                if step.step % self.chunk == 0 or step.step in self.ends:
                    finite(step.loss, "the training loss")
                    progress(TRAINING * step.step / self.ends[-1])
                if step.step in self.ends:
                    yield denoise
                if step.step == self.ends[-1]:
                    return
        except FloatingPointError as e:
            raise Failed(str(e)) from e


def chunks(harness: Unconditional, seed: int) -> Iterator[tuple[range, dict[str, Tensor]]]:
    """Yield the steps of an unconditional training run in chunks that end at the looks, with the data of each.

    The data are x0, eps (n, B, 1, 8, 8), t (n, B) and lr (n,).
    """
    schedule, config = DiffusionSchedule.named(), TrainConfig(**harness.train, seed=seed)
    drawn = batches(digits("train"), config)
    last = harness.ends[-1]
    for start, end in pairwise(sorted({*range(0, last, harness.chunk), *harness.ends})):
        steps = range(start, end)
        x0 = torch.stack([next(drawn)[0] for _ in steps])
        eps = [torch.randn(x0.shape[1:], generator=stream(seed, "noise", i)) for i in steps]
        t = [torch.randint(schedule.timesteps, (config.batch_size,), generator=stream(seed, "t", i)) for i in steps]
        lr = torch.tensor([lr_at(i, config) for i in steps], dtype=torch.float64)
        yield steps, {"x0": x0, "eps": torch.stack(eps), "t": torch.stack(t), "lr": lr}


@dataclass(frozen=True)
class RecordedNetwork(Unconditional):
    """The answer's own network, which its process records as data (child/recording.py).

    That process ends before any image is sent. The recording is trained in a second process, and its averaged weights
    denoise in a third, which never sees a training image. Before the last look, the second and third run side by side.
    Neither holds any of the answer's code.
    """

    timed: ClassVar[bool] = True

    def learn(self, probe: Probe, seed: int, progress: Progress, shuffled: bool = False) -> Iterator[Denoise]:
        """Train as Harness.learn says; Failed if the network cannot be recorded or its loss is not finite."""
        abar, run_seed = DiffusionSchedule.named().alphas_cumprod, derive_seed(seed, "train")
        rng, size = stream(seed, "recording"), self.train["batch_size"]
        drawn = {f"x{i}": torch.randn(size, *digits("train").images.shape[1:], generator=rng) for i in (0, 1)}
        drawn |= {f"t{i}": torch.randint(len(abar), (size,), generator=rng) for i in (0, 1)}
        asked = {"environment": self.network, "seed": run_seed % 2**31}
        training, denoising = (probe("record", drawn, training=mode, **asked) for mode in (True, False))
        self.renew(probe)
        probe("start_training", {**training, "alphas_cumprod": abar}, train=self.train)
        with ExitStack() as opened:
            apart = None  # the process that denoises while training is paused
            for steps, drawn in chunks(self, run_seed):
                out = probe("training_steps", drawn, seed=asked["seed"] + steps[0])
                finite(tensor(out, "losses", (len(steps),), "the training loss"), "the training loss")
                progress(TRAINING * steps.stop / self.ends[-1])
                if steps.stop not in self.ends:
                    continue
                learnt = same_kind(probe("averaged"), training)
                if steps.stop == self.ends[-1]:
                    self.renew(apart := probe)
                elif apart is None:
                    apart = replace(probe, child=opened.enter_context(probe.child.beside()))
                    apart("load", cells={}, operations=OWN)
                apart("start_denoising", denoising | learnt)
                yield self.denoiser(apart, rng)

    def denoiser(self, apart: Probe, rng: torch.Generator) -> Denoise:
        """Return the denoiser in a process that has the weights.

        Part of each batch is denoised twice, in different batches; Failed if the results differ.
        """
        size = self.train["batch_size"]

        def asked_for(xt: Tensor, t: Tensor) -> Tensor:
            out = apart("denoise", {"xt": xt, "t": t}, size=size)
            return finite(tensor(out, "out", tuple(xt.shape), "the trained network's output"), "the trained network")

        def denoise(xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
            out = asked_for(xt, t)
            some = torch.randperm(len(xt), generator=rng)[:size]
            if (relative_change(out[some], asked_for(xt[some], t[some])) > SAME).any():
                raise Failed("in the trained network, sample i depends on other samples of the batch")
            return out

        return denoise

    def renew(self, probe: Probe) -> None:
        """Replace the child with a fresh process that holds no answer."""
        probe.child.renew()
        probe("load", cells={}, operations=OWN)


def same_kind(learnt: dict[str, Tensor], before: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the trained weights, with the dtypes they had before; Failure if names or shapes have changed."""
    began = {name: value for name, value in before.items() if name[0] == "w"}
    if {n: v.shape for n, v in learnt.items()} != {n: v.shape for n, v in began.items()}:
        raise Failure("invalid_output", "The answer's process sent a malformed result.")
    return {name: finite(value, "the trained network").to(began[name].dtype) for name, value in learnt.items()}
