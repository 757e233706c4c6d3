"""What a gate's run is made with: the settings of training and sampling, and the looks at which it is measured.

How an answer is trained is the harness's own method (learning.py, and the exercises' gate.py), how it is measured is
the same for all (looking.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from torch import Tensor

from autograder.exercises.base import Probe
from ddpm_core.samplers import SampleConfig

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]  # (xt, t, y) -> eps, or x0 where the harness says so
Progress = Callable[[float], None]  # the share done
TRAINING = 0.8  # of a run's time; the rest is sampling
SAMPLER = SampleConfig().sampler
LATER = {"looks": (), "sampler": SAMPLER}  # fields that a description leaves out at these values: it is older than they


@dataclass(frozen=True)
class Harness:
    """One run. Changing a value means calibrating the bands again: a test compares them with the band file."""

    labels: ClassVar[bool] = True  # samples are asked for by class
    timed: ClassVar[bool] = False  # the answer is what uses the time: without use of it there is no hope
    output: ClassVar[str] = "epsilon"

    train: dict = field(
        # 250 steps of 128 digits: the shortest run that keeps every reference far from every control
        default_factory=lambda: {"steps": 250, "lr": 3e-3, "batch_size": 128, "warmup": 25, "ema_decay": 0.99}
    )
    samples: int = 1000  # 100 a class; the 64-d features have a full-rank covariance from far fewer
    sample_steps: int = 20
    w: float = 1.0  # purely conditional: guidance would hide a weak conditioner
    batch: int = 500
    probes: int = 36  # held-out images in every query
    chunk: int = 25  # training steps between two signs of life
    looks: tuple[int, ...] = ()  # after so many steps the run is measured; none: at the end alone
    sampler: str = SAMPLER

    @property
    def ends(self) -> tuple[int, ...]:
        """The steps at which the run is measured; after the last one nothing is trained."""
        steps = self.train["steps"]
        return tuple(sorted({min(step, steps) for step in self.looks})) or (steps,)

    def learn(self, probe: Probe, seed: int, progress: Progress, shuffled: bool = False) -> Iterator[Denoise]:
        """Train the answer; at each of `ends`, what denoises then.

        `shuffled`: on wrong labels, which makes a control of any design.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Unconditional(Harness):
    """A run without labels, whose batches are drawn by the parent as well."""

    labels: ClassVar[bool] = False

    train: dict = field(
        default_factory=lambda: {
            **{"steps": 250, "lr": 3e-3, "batch_size": 64, "warmup": 25},
            **{"ema_decay": 0.99, "weight_decay": 1e-4, "grad_clip": 1.0},
        }
    )
    samples: int = 500  # a larger share of the time than with labels, and of use to one number only
    probes: int = 100  # at every noise level, since each counts alike
    network: dict = field(default_factory=dict)  # what is built: the network's shape, or the environment of an answer
    output: str = "epsilon"  # what the denoiser answers with: epsilon or x0


@dataclass(frozen=True)
class Gate:
    """How the trained answers of an exercise are judged."""

    harness: Harness  # one look: the challenge tracks' own, whose figures are on record
    # By metric, which controls it can see at all: shuffled labels, for one, leave the pooled distance untouched, and so
    # does an ignored timestep. A metric that is not named here has no limit.
    controls: dict[str, tuple[str, ...]]
    sequential: Harness | None = None  # what answers are graded by; None: the harness
    decisive: dict[str, tuple[str, ...]] = field(default_factory=dict)  # `controls` of the sequential run
    # The look to which references are run for the limits; a control then stops where there is no hope. 0: the last one.
    enough: int = 0

    def graded(self) -> tuple[Harness, dict[str, tuple[str, ...]]]:
        """The run of a submission, and the controls that its limits come from."""
        return (self.sequential, self.decisive) if self.sequential else (self.harness, self.controls)


def unwatched(share: float) -> None:
    """Progress that nobody watches."""


def describe(harness: Harness) -> dict:
    """What the band file must have been made with."""
    return {k: v for k, v in asdict(harness).items() if k not in LATER or v != LATER[k]}
