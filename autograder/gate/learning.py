"""Two ways to train an answer: as a part of the course's network, and as a whole network in the child.

Where the network is the course's own, it learns and denoises in the parent. The child supplies only what the exercise
asks for, and sees nothing that would let it do another network's work in its place.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from autograder.exercises.base import Failed, Probe, finite, tensor
from autograder.gate.harness import TRAINING, Denoise, Harness, Progress, Unconditional
from autograder.gate.network import UNET
from autograder.gate.remote_modules import with_pair
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

    def learn(self, probe: Probe, seed: int, progress: Progress, shuffled: bool = False) -> Denoise:
        data, run_seed = digits("train"), derive_seed(seed, "train")
        if shuffled:  # the control: right code, wrong labels
            order = torch.randperm(len(data.labels), generator=stream(seed, "shuffle"))
            data = replace(data, labels=data.labels[order])
        config = TrainConfig(**self.train, seed=run_seed)
        diffusion = Diffusion(with_pair(probe, self.unet, run_seed % 2**31), DiffusionSchedule.named(), EPSILON)
        state = TrainState.start(diffusion, config)
        try:
            for step in train(state, data, config):
                if step.step % self.chunk == 0 or step.step == config.steps:
                    finite(step.loss, "the training loss")
                    progress(TRAINING * step.step / config.steps)
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


@dataclass(frozen=True)
class NetworkInChild(Unconditional):
    """The answer's own network, which learns and denoises in the child."""

    def learn(self, probe: Probe, seed: int, progress: Progress, shuffled: bool = False) -> Denoise:
        """Failed where its loss is not finite."""
        abar, run_seed = DiffusionSchedule.named().alphas_cumprod, derive_seed(seed, "train")
        start = {"network": self.network, "seed": run_seed % 2**31, "train": self.train}
        probe("start_training", {"alphas_cumprod": abar}, **start)
        for steps, drawn in chunks(self, run_seed):
            out = probe("training_steps", drawn)
            finite(tensor(out, "losses", (len(steps),), "the training loss"), "the training loss")
            progress(TRAINING * (steps[-1] + 1) / self.train["steps"])

        def denoise(xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
            out = tensor(probe("denoise", {"xt": xt, "t": t}), "out", tuple(xt.shape), "the trained network's output")
            return finite(out, "the trained network")

        return denoise
